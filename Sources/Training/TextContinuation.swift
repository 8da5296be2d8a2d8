import TokenData
import Transformer

/// What continues texts: reads tokens and says how likely each next one is.
protocol TokenGenerator: AnyObject {
    /// Reads the newest tokens of a text that begins and returns the logits [V] of what comes next.
    /// - Throws: `KernelError` when oneDNN fails.
    func logits(after prompt: [Int32]) throws -> [Float]
    /// Reads one more token and returns the logits [V] of what comes after it.
    /// - Throws: `KernelError` when oneDNN fails.
    func logits(after token: Int32) throws -> [Float]
}

extension Generator: TokenGenerator {}

extension TokenGenerator {
    /// Draws tokens after `prompt`, at most `count`, and ends before the one that ends a text.
    /// - Parameters:
    ///   - tokenizer: ids that it does not know have no text and are not drawn.
    ///   - body: takes the bytes of each token; false ends the text.
    /// - Throws: `KernelError` when oneDNN fails; what `body` throws.
    func continueText(
        after prompt: [Int32], count: Int, sampler: Sampler, tokenizer: Tokenizer, endOfText: Int?,
        _ body: (ArraySlice<UInt8>) throws -> Bool
    ) throws {
        var sampler = sampler
        var logits = try self.logits(after: prompt)
        for index in 0..<count {
            let next = sampler.next(Array(logits.prefix(tokenizer.vocabularySize)))
            if Int(next) == endOfText { return }
            guard try body(tokenizer.bytes(of: next)) else { return }
            // What comes after the last one, nobody asks.
            if index + 1 < count { logits = try self.logits(after: next) }
        }
    }
}
