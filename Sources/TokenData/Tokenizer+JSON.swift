extension Tokenizer {
    /// This tokenizer as a Hugging Face `tokenizer.json`: the same bytes that `tokenizers` writes for it.
    public func tokenizerJSON() -> [UInt8] {
        var text = "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n"
        text += "  \"added_tokens\": ["
        for (index, token) in addedTokens.enumerated() {
            text += index == 0 ? "\n" : ",\n"
            text += "    {\n      \"id\": \(token.id),\n      \"content\": \(Self.quoted(token.content)),\n"
            text += "      \"single_word\": false,\n      \"lstrip\": false,\n      \"rstrip\": false,\n"
            text += "      \"normalized\": \(!token.isSpecial),\n      \"special\": \(token.isSpecial)\n    }"
        }
        text += addedTokens.isEmpty ? "],\n" : "\n  ],\n"
        text += "  \"normalizer\": null,\n"
        for part in ["pre_tokenizer", "post_processor", "decoder"] {
            // Only the pre-tokenizer's flag means anything; the others are as in GPT-2's own file.
            text += "  \"\(part)\": {\n    \"type\": \"ByteLevel\",\n"
            text += "    \"add_prefix_space\": \(part != "pre_tokenizer"),\n"
            text += "    \"trim_offsets\": \(part != "post_processor"),\n    \"use_regex\": true\n  },\n"
        }
        text += "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n"
        text += "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n"
        text += "    \"fuse_unk\": false,\n    \"byte_fallback\": false,\n    \"ignore_merges\": false,\n"
        text += "    \"vocab\": {"
        var isFirst = true
        for (id, form) in printableForms.enumerated() {
            guard let form else { continue }
            text += isFirst ? "\n" : ",\n"
            text += "      \(Self.quoted(form)): \(id)"
            isFirst = false
        }
        text += "\n    },\n    \"merges\": ["
        for (rank, pair) in merges.enumerated() {
            text += rank == 0 ? "\n" : ",\n"
            text += "      [\n        \(quotedForm(pair.left)),\n        \(quotedForm(pair.right))\n      ]"
        }
        text += merges.isEmpty ? "]\n  }\n}" : "\n    ]\n  }\n}"
        return Array(text.utf8)
    }

    /// GPT-2's `merges.txt`.
    package func mergesText() -> [UInt8] {
        var text = Array("#version: 0.2\n".utf8)
        for pair in merges {
            text += printableForms[Int(pair.left)] ?? []
            text.append(0x20)
            text += printableForms[Int(pair.right)] ?? []
            text.append(0x0A)
        }
        return text
    }

    /// GPT-2's `vocab.json`: compact, in the order of ids.
    package func vocabularyJSON() -> [UInt8] {
        let items = printableForms.enumerated().compactMap { id, form in form.map { "\(Self.quoted($0)):\(id)" } }
        return Array("{\(items.joined(separator: ","))}".utf8)
    }

    private func quotedForm(_ id: Int32) -> String { Self.quoted(printableForms[Int(id)] ?? []) }

    /// A JSON string with the few escapes that JSON demands.
    private static func quoted(_ text: [UInt8]) -> String {
        var result: [UInt8] = [0x22]
        for byte in text {
            switch byte {
            case 0x22, 0x5C: result += [0x5C, byte]
            case 0x08: result += Array("\\b".utf8)
            case 0x09: result += Array("\\t".utf8)
            case 0x0A: result += Array("\\n".utf8)
            case 0x0C: result += Array("\\f".utf8)
            case 0x0D: result += Array("\\r".utf8)
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                result += Array(("\\u00" + (digits.count == 1 ? "0" : "") + digits).utf8)
            default: result.append(byte)
            }
        }
        result.append(0x22)
        return String(decoding: result, as: UTF8.self)
    }
}
