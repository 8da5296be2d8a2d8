import Basics

extension TokenStream {
    /// Random tokens of a vocabulary in a file in memory, for a measurement without data; the same ones each time.
    ///
    /// - Precondition: `count` is 1 or more, `vocabularySize` as well.
    /// - Throws: exit code 70 when the system gives no memory.
    package static func random(count: Int, vocabularySize: Int) throws -> TokenStream {
        let width = ShardFormat.width(vocabularySize: vocabularySize)
        var bytes = ShardFormat.header(width: width, tokenCount: count, tokenizer: nil)
        bytes.reserveCapacity(bytes.count + count * width)
        var state: UInt64 = 1
        for _ in 0..<count {
            // The high bits of Knuth's linear congruential generator (MMIX).
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            bytes += littleEndian(Int((state >> 33) % UInt64(vocabularySize)), width)
        }
        return try TokenStream(paths: [try anonymousFile(bytes)], vocabularySize: vocabularySize)
    }
}
