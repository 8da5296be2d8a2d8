import Basics

extension Tokenizer {
    /// This tokenizer as a Hugging Face `tokenizer.json`: the same bytes that `tokenizers` writes for it.
    package func tokenizerJSON() -> [UInt8] {
        JSONText.object([
            ("version", "1.0"), ("truncation", nil), ("padding", nil),
            (
                "added_tokens",
                .array(
                    addedTokens.map { token in
                        .object([
                            ("id", .number(token.id)), ("content", .string(token.content)), ("single_word", false),
                            ("lstrip", false), ("rstrip", false), ("normalized", .bool(token.isNormalized)),
                            ("special", .bool(token.isSpecial)),
                        ])
                    })
            ),
            ("normalizer", nil),
            // Only the pre-tokenizer's flag means anything; the others are as in GPT-2's own file.
            ("pre_tokenizer", Self.byteLevel(addsPrefixSpace: false, trimsOffsets: true)),
            ("post_processor", Self.byteLevel(addsPrefixSpace: true, trimsOffsets: false)),
            ("decoder", Self.byteLevel(addsPrefixSpace: true, trimsOffsets: true)),
            (
                "model",
                .object([
                    ("type", "BPE"), ("dropout", nil), ("unk_token", nil), ("continuing_subword_prefix", nil),
                    ("end_of_word_suffix", nil), ("fuse_unk", false), ("byte_fallback", false),
                    ("ignore_merges", false), ("vocab", vocabularyJSON),
                    ("merges", .array(merges.map { .array([form($0.left), form($0.right)]) })),
                ])
            ),
        ]).pretty
    }

    private static func byteLevel(addsPrefixSpace: Bool, trimsOffsets: Bool) -> JSONText {
        .object([
            ("type", "ByteLevel"), ("add_prefix_space", .bool(addsPrefixSpace)), ("trim_offsets", .bool(trimsOffsets)),
            ("use_regex", true),
        ])
    }

    /// The tokens with their ids, in the order of ids.
    package var vocabularyJSON: JSONText {
        .object(
            printableForms.enumerated().compactMap { id, form in
                form.map { (String(decoding: $0, as: UTF8.self), .number(id)) }
            })
    }

    private func form(_ id: Int32) -> JSONText { .string(printableForms[Int(id)] ?? []) }
}
