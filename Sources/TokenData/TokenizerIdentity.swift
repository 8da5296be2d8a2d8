import Basics

/// Which tokenizer made ids: a hash of everything that decides which ids a text gets.
///
/// That is the tokens' bytes with their ids, the merges in their order, and the added tokens. The same tokenizer has
/// the same identity as `tokenizer.json` and as `vocab.json` with `merges.txt`, however these are laid out and
/// whatever they say about decoding.
package struct TokenizerIdentity: Hashable, Sendable {
    /// SHA-256: 64 hexadecimal digits.
    package let digest: String
    /// The tokenizer's vocabulary size: one more than its largest id.
    package let vocabularySize: Int

    package init(digest: String, vocabularySize: Int) {
        self.digest = digest
        self.vocabularySize = vocabularySize
    }

    /// The form that people see: the first 12 digits and the vocabulary's size.
    package var shown: String { "\(digest.prefix(12)) of \(vocabularySize) tokens" }

    /// A part of a run, and the tokenizer it was made with or brings along.
    package struct Origin: Sendable {
        /// What it is and where, such as `--train-data 'c/train_*.bin'`.
        package let name: String
        /// Nil where it does not say.
        package let identity: TokenizerIdentity?

        package init(_ name: String, _ identity: TokenizerIdentity?) {
            self.name = name
            self.identity = identity
        }
    }

    /// Checks that all parts of a run have one tokenizer. Parts that do not say which one they have pass.
    ///
    /// - Parameter allowOther: whether a difference is meant (`--allow-other-tokenizer`).
    /// - Returns: lines for the user: about parts that could not be compared, and about differences that are meant.
    /// - Throws: exit code 65, with two parts that differ.
    package static func requireSame(_ origins: [Origin], allowOther: Bool) throws(ExitError) -> [String] {
        guard let first = origins.first(where: { $0.identity != nil }), let expected = first.identity else { return [] }
        var lines: [String] = []
        for origin in origins {
            guard let identity = origin.identity else {
                lines.append(
                    "\(origin.name) does not say which tokenizer its ids are of: it is taken to be that of "
                        + "\(first.name) (\(expected.shown))")
                continue
            }
            if identity == expected { continue }
            let difference =
                "\(origin.name) has tokenizer \(identity.shown), \(first.name) has \(expected.shown)"
            guard allowOther else {
                throw ExitError(
                    .badInput,
                    "two tokenizers: \(difference), so the same ids mean other text; tokenize the text with one of them "
                        + "(tokenize --tokenizer), or give --allow-other-tokenizer if it is meant")
            }
            lines.append("two tokenizers, as --allow-other-tokenizer allows: \(difference)")
        }
        return lines
    }
}

extension Tokenizer {
    /// What this tokenizer is, whatever file it came from.
    package func identity() throws -> TokenizerIdentity {
        let digest = try SHA256()
        func add(_ bytes: [UInt8]) throws { try digest.update(bytes.span.bytes) }
        func number(_ value: Int) -> [UInt8] { littleEndian(value, 8) }

        // Which group an added token is in matters only where there are two.
        let hasTwoGroups = Set(addedTokens.map(\.isNormalized)).count == 2
        let added = Dictionary(uniqueKeysWithValues: addedTokens.map { ($0.id, $0) })
        try add(Array("swiftlet tokenizer 1".utf8) + number(vocabularySize) + number(merges.count))
        for id in 0..<Int32(vocabularySize) {
            let kind = added[id].map { hasTwoGroups && $0.isNormalized ? 2 : 1 } ?? 0
            let bytes = Array(bytes(of: id))
            try add([UInt8(kind)] + number(bytes.count) + bytes)
        }
        for pair in merges { try add(number(Int(pair.left)) + number(Int(pair.right))) }
        return TokenizerIdentity(digest: try digest.value(), vocabularySize: vocabularySize)
    }
}
