internal import Basics
internal import TokenData

/// A byte-level BPE tokenizer of GPT-2's kind: any text in, token ids out, and the same bytes back.
///
/// Its files are Hugging Face's, and its ids are those that Hugging Face's `tokenizers` gives. A value: any thread may
/// use it.
public struct Tokenizer: Sendable {
    let tables: TokenData.Tokenizer

    /// The text of the token that stands before each document.
    public static let endOfText = TokenData.Tokenizer.endOfText

    /// Reads a tokenizer.
    /// - Parameter path: a `tokenizer.json`, or a folder that holds one, or one that holds `vocab.json` and `merges.txt`.
    /// - Throws: exit code 66 where there is none, 65 where it is of another kind or does not hold together.
    public init(path: String) throws(SwiftletError) {
        tables = try translated { try TokenData.Tokenizer(path: FilePath(argument: path)) }
    }

    /// Trains a tokenizer.
    /// - Parameters:
    ///   - texts: documents; no token reaches from one into the next.
    ///   - vocabularySize: 256 bytes, `endOfText`, and merges: 257 to 16,777,216. Fewer where no pair of tokens occurs
    ///     often enough.
    ///   - minimumFrequency: how often a pair must occur to become a token.
    /// - Throws: exit code 64 for a size out of range.
    public init(
        trainingOn texts: some Sequence<String>, vocabularySize: Int, minimumFrequency: Int = 2
    ) throws(SwiftletError) {
        tables = try translated {
            let trainer = try BPETrainer(vocabularySize: vocabularySize, minimumFrequency: minimumFrequency)
            var words = WordCounts()
            for text in texts {
                let bytes = Array(text.utf8)
                words.add(bytes.span)
            }
            return try trainer.train(words)
        }
    }

    /// One more than the largest id.
    public var vocabularySize: Int { tables.vocabularySize }
    /// The id of `endOfText`; nil where the vocabulary lacks it.
    public var endOfTextID: Int32? { tables.endOfTextID }

    /// The ids of a text. The text of an added token, such as `endOfText`, becomes that token.
    public func encode(_ text: String) -> [Int32] { encode(bytes: Array(text.utf8)) }

    /// The ids of any bytes; those that are not UTF-8 are kept.
    public func encode(bytes: [UInt8]) -> [Int32] { tables.encode(bytes) }

    /// The text of ids. Where they end within a character, U+FFFD stands for its part; ids that the vocabulary lacks have no
    /// text.
    public func decode(_ ids: some Sequence<Int32>) -> String {
        String(decoding: ids.flatMap { tables.bytes(of: $0) }, as: UTF8.self)
    }

    /// The bytes of one token; none for an id that the vocabulary lacks.
    public func bytes(of id: Int32) -> [UInt8] { Array(tables.bytes(of: id)) }

    /// Writes `tokenizer.json`, which Hugging Face's `tokenizers` reads too.
    /// - Parameter folder: made if need be; the file takes an older one's place when it is complete.
    /// - Throws: exit code 73 where it cannot be made, 74 where writing fails.
    public func write(to folder: String) throws(SwiftletError) {
        try translated {
            let path = try FilePath(argument: folder)
            try LocalFileSystem().makeDirectories(path)
            try LocalFileSystem().replaceFile(path.appending("tokenizer.json"), with: tables.tokenizerJSON())
        }
    }
}
