import Basics
import Glibc
import TokenData

/// How many bytes of text the tokens of some data stand for. That makes a loss in nats a token one in bits a byte, which
/// compares over tokenizers.
package struct TokenBytes: Sendable {
    /// Tokens up to this number are counted all; of more, 64 blocks of 65,536, spread evenly.
    private static let wholeLimit = 1 << 22
    private static let (blockCount, blockSize) = (64, 1 << 16)

    /// Bytes of each id. A mark between documents stands for no text.
    private let lengths: [Int]

    /// By the tokenizer beside the shards; nil where there is none that is read here and theirs.
    package init?(beside stream: TokenStream) {
        guard let folder = stream.shards.first?.path.parent, let found = try? Tokenizer.inFolder(folder),
            let identity = try? found.tokenizer.identity(),
            stream.shards.allSatisfy({ $0.tokenizer == nil || $0.tokenizer == identity })
        else { return nil }
        self.init(found.tokenizer)
    }

    package init(_ tokenizer: Tokenizer) {
        let marks = Set(tokenizer.addedTokens.filter(\.isSpecial).map(\.id) + [tokenizer.endOfTextID].compactMap { $0 })
        lengths = (0..<Int32(tokenizer.vocabularySize)).map { marks.contains($0) ? 0 : tokenizer.bytes(of: $0).count }
    }

    /// Bytes a token of a stream, of all its tokens or of a fixed sample of them; nil where they stand for no text.
    /// - Throws: `ExitError` (65) for a shard that has changed.
    package func perToken(of stream: TokenStream) throws -> Double? {
        guard stream.tokenCount > Self.wholeLimit else { return try mean(stream, [0..<stream.tokenCount]) }
        let distance = (stream.tokenCount - Self.blockSize) / (Self.blockCount - 1)
        return try mean(stream, (0..<Self.blockCount).map { $0 * distance..<$0 * distance + Self.blockSize })
    }

    /// Bytes a token of those that an evaluation predicts.
    package func perToken(of evaluator: Evaluator) throws -> Double? {
        let length = evaluator.contextLength
        return try mean(
            evaluator.stream,
            (0..<evaluator.count).lazy.map { index in
                let start = evaluator.sequence(index) * length + 1
                return start..<start + length
            })
    }

    private func mean(_ stream: TokenStream, _ ranges: some Sequence<Range<Int>>) throws -> Double? {
        var (bytes, tokens) = (0, 0)
        var buffer = [Int32](repeating: 0, count: Self.blockSize)
        for range in ranges {
            for start in stride(from: range.lowerBound, to: range.upperBound, by: buffer.count) {
                let part = 0..<min(buffer.count, range.upperBound - start)
                var span = buffer.mutableSpan
                try stream.copyTokens(from: start, into: &span, part)
                for id in buffer[part] where id >= 0 && Int(id) < lengths.count { bytes += lengths[Int(id)] }
                tokens += part.count
            }
        }
        return bytes > 0 ? Double(bytes) / Double(tokens) : nil
    }

    /// A loss in nats a token, in bits a byte.
    package static func bitsPerByte(_ loss: Double, bytesPerToken: Double) -> Double {
        loss / log(2) / bytesPerToken
    }
}

/// Bytes a token of a run's data; nil where that is not known.
struct DataBytes {
    let training: Double?
    let validation: Double?

    /// - Parameter stream: nil for data of a program's own.
    init(training stream: TokenStream?, _ evaluator: Evaluator?) throws {
        training = try stream.flatMap { try TokenBytes(beside: $0)?.perToken(of: $0) }
        validation = try evaluator.flatMap { try TokenBytes(beside: $0.stream)?.perToken(of: $0) }
    }
}
