import Basics
import Testing
import TokenData

/// Shards: llm.c's bytes, and every way in which a shard can be broken.
@Suite struct TokenShardTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func write(
        _ tokens: [Int32], vocabularySize: Int = 300, limit: Int = 100, prefix: String = "train"
    ) throws -> [String] {
        let writer = TokenShardWriter(
            directory: directory.path, prefix: prefix, vocabularySize: vocabularySize, shardTokenLimit: limit)
        try writer.append(tokens.span)
        return try writer.publish()
    }

    private func little(_ numbers: [Int]) -> [UInt8] {
        numbers.flatMap { number in (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
    }

    @Test func narrowBytesAreThoseOfLLMC() throws {
        let paths = try write([0, 1, 255, 256, 299])
        #expect(paths == [directory.path + "/train_000000.bin"])
        let header = little([20_240_520, 1, 5]) + [UInt8](repeating: 0, count: 1012)
        #expect(try directory.read("train_000000.bin") == header + [0, 0, 1, 0, 255, 0, 0, 1, 43, 1])
    }

    @Test func wideBytesAreThoseOfVersion7() throws {
        _ = try write([0, 70_000], vocabularySize: 70_001)
        let header = little([20_240_801, 7, 2]) + [UInt8](repeating: 0, count: 1012)
        #expect(try directory.read("train_000000.bin") == header + little([0, 70_000]))
    }

    @Test func vocabularySizeFixesTheWidth() throws {
        #expect(try TokenShard(path: write([65_535], vocabularySize: 65_536)[0]).tokenWidth == 2)
        #expect(try TokenShard(path: write([65_535], vocabularySize: 65_537)[0]).tokenWidth == 4)
    }

    @Test(arguments: [1, 7, 100], [300, 70_000])
    func tokensComeBackAcrossShards(limit: Int, vocabularySize: Int) throws {
        let tokens = (0..<250).map { Int32($0 * 31 % vocabularySize) }
        let paths = try write(tokens, vocabularySize: vocabularySize, limit: limit)
        #expect(paths.count == (250 + limit - 1) / limit)
        #expect(try directory.names() == paths.map { String($0.split(separator: "/").last!) })
        let stream = try TokenStream(glob: directory.path + "/train_*.bin", vocabularySize: vocabularySize)
        #expect(stream.tokenCount == 250)
        var copy = [Int32](repeating: -1, count: 250)
        var span = copy.mutableSpan
        try stream.copyTokens(from: 0, into: &span, 0..<250)
        #expect(copy == tokens)
    }

    /// A writer that is dropped leaves nothing behind.
    @Test func nothingIsSeenBeforePublish() throws {
        do {
            let writer = TokenShardWriter(
                directory: directory.path, prefix: "val", vocabularySize: 300, shardTokenLimit: 2)
            let tokens: [Int32] = [1, 2, 3]
            try writer.append(tokens.span)
            try writer.finish()
            #expect(try directory.names() == [".val_000000.bin.partial", ".val_000001.bin.partial"])
        }
        #expect(try directory.names() == [])
    }

    @Test func directoriesThatCannotBeWrittenAreErrors() {
        let writer = TokenShardWriter(directory: directory.path + "/none", prefix: "val", vocabularySize: 300)
        let tokens: [Int32] = [1]
        let error = #expect(throws: TokenDataError.self) { try writer.append(tokens.span) }
        #expect(error?.exitCode == 73)
    }

    @Test func brokenShardsAreErrors() throws {
        let path = try write([0, 1, 2])[0]
        let good = try directory.read("train_000000.bin")
        func replaced(_ field: Int, _ number: Int) -> [UInt8] {
            Array(good[..<(4 * field)]) + little([number]) + Array(good[(4 * field + 4)...])
        }
        let cases: [([UInt8], [String])] = [
            ([], ["0 bytes", "1024-byte header"]),
            (Array(good[..<1023]), ["1023 bytes"]),
            (Array(good[..<1029]), ["has 1029 bytes", "3 tokens", "1030 bytes"]),
            (good + [0], ["has 1031 bytes", "1030 bytes"]),
            (replaced(0, 20_240_522), ["20240522", "20240520"]),
            (replaced(0, 20_240_520.byteSwapped >> 32), ["big-endian"]),
            (replaced(1, 2), ["version 2", "must be 1"]),
            (replaced(2, 4), ["has 1030 bytes", "4 tokens", "1032 bytes"]),
            (replaced(2, -3), ["-3 tokens"]),
            (replaced(2, Int(Int32.max)), ["2147483647 tokens", "4294968318 bytes"]),
            (replaced(0, 20_240_801), ["version 1", "must be 7"]),
        ]
        for (bytes, parts) in cases {
            try directory.write("train_000000.bin", bytes)
            let error = #expect(throws: TokenDataError.self) { try TokenShard(path: path) }
            #expect(error?.exitCode == 65)
            for part in parts + [path] {
                #expect(error?.description.contains(part) == true, "\(part): \(String(describing: error))")
            }
        }
    }

    @Test func missingShardsAreErrors() {
        let error = #expect(throws: TokenDataError.self) { try TokenShard(path: directory.path + "/none.bin") }
        #expect(error?.exitCode == 66)
    }
}
