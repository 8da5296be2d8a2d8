import Basics
import Testing
import TokenData

/// Tokens for measurements without data.
@Suite struct RandomTokensTests {
    @Test("as many as asked for, of the whole vocabulary and no other, the same each time", arguments: [300, 70_000])
    func tokens(vocabularySize: Int) throws {
        let count = 10_000
        let streams = try (0..<2).map { _ in try TokenStream.random(count: count, vocabularySize: vocabularySize) }
        let tokens = try streams.map { stream in
            var values = [Int32](repeating: -1, count: count)
            var span = values.mutableSpan
            try stream.copyTokens(from: 0, into: &span, 0..<count)
            return values
        }
        #expect(streams[0].tokenCount == count && tokens[0] == tokens[1])
        #expect(tokens[0].allSatisfy { $0 >= 0 && $0 < vocabularySize })
        let width = vocabularySize / 10
        for tenth in 0..<10 {
            let some = tokens[0].count { Int($0) / width == tenth }
            #expect((800...1200).contains(some), "\(some) of \(tenth)")
        }
    }
}
