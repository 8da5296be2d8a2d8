import Basics
import Glibc
import Testing
import TokenData

/// Shards: llm.c's bytes, and every way in which a shard can be broken.
@Suite struct TokenShardTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func write(
        _ tokens: [Int32], vocabularySize: Int = 300, limit: Int = 100, prefix: String = "train",
        tokenizer: TokenizerIdentity? = nil
    ) throws -> [FilePath] {
        let writer = TokenShardWriter(
            directory: directory.folder, prefix: prefix, vocabularySize: vocabularySize, tokenizer: tokenizer,
            shardTokenLimit: limit)
        try writer.append(tokens.span)
        return try writer.publish()
    }

    private func little(_ numbers: [Int]) -> [UInt8] {
        numbers.flatMap { number in (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
    }

    @Test func narrowBytesAreThoseOfLLMC() throws {
        let paths = try write([0, 1, 255, 256, 299])
        #expect(paths == [directory.folder.appending("train_000000.bin")])
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
        #expect(try directory.names() == paths.map { $0.lastComponent!.string })
        let stream = try TokenStream(glob: directory.folder.appending("train_*.bin"), vocabularySize: vocabularySize)
        #expect(stream.tokenCount == 250)
        var copy = [Int32](repeating: -1, count: 250)
        var span = copy.mutableSpan
        try stream.copyTokens(from: 0, into: &span, 0..<250)
        #expect(copy == tokens)
    }

    /// llm.c's own readers want a file below 2 GiB, also with four bytes a token.
    @Test func shardsAreSmallEnough() {
        let writer = TokenShardWriter(directory: directory.folder, prefix: "train", vocabularySize: 70_000)
        #expect(writer.shardTokenLimit == 100_000_000)
        #expect(1024 + 4 * writer.shardTokenLimit < 2 << 30)
    }

    /// A writer that is dropped leaves nothing behind.
    @Test func nothingIsSeenBeforePublish() throws {
        do {
            let writer = TokenShardWriter(
                directory: directory.folder, prefix: "val", vocabularySize: 300, shardTokenLimit: 2)
            let tokens: [Int32] = [1, 2, 3]
            try writer.append(tokens.span)
            try writer.finish()
            #expect(try directory.names() == [".val_000000.bin.partial", ".val_000001.bin.partial"])
        }
        #expect(try directory.names() == [])
    }

    @Test func directoriesThatCannotBeWrittenAreErrors() {
        let writer = TokenShardWriter(directory: directory.folder.appending("none"), prefix: "val", vocabularySize: 300)
        let tokens: [Int32] = [1]
        let error = #expect(throws: FileSystemError.self) { try writer.append(tokens.span) }
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
            let error = #expect(throws: ExitError.self) { try TokenShard(path: path) }
            #expect(error?.exitCode == 65)
            for part in parts + [path.string] {
                #expect(error?.description.contains(part) == true, "\(part): \(String(describing: error))")
            }
        }
    }

    @Test func missingShardsAreErrors() {
        let error = #expect(throws: FileSystemError.self) {
            try TokenShard(path: directory.folder.appending("none.bin"))
        }
        #expect(error?.exitCode == 66)
    }

    /// Identity of data: the header says which tokenizer made the ids, as docs/files.md has it, where llm.c skips it.
    @Test func theHeaderNamesTheTokenizer() throws {
        let digest = (0..<32).map { hexadecimal(UInt8($0 + 100)) }.joined()
        let identity = TokenizerIdentity(digest: digest, vocabularySize: 300)
        let path = try write([7], tokenizer: identity)[0]
        let bytes = try directory.read("train_000000.bin")
        #expect(bytes.count == 1026)
        #expect(Array(bytes[..<12]) == little([20_240_520, 1, 1]))
        #expect(bytes[12..<32].allSatisfy { $0 == 0 } && bytes[80..<1024].allSatisfy { $0 == 0 })
        #expect(Array(bytes[32..<40]) == Array("swiftlet".utf8))
        #expect(Array(bytes[40..<48]) == little([1, 300]))
        #expect(Array(bytes[48..<80]) == (0..<32).map { UInt8($0 + 100) })
        #expect(try TokenShard(path: path).tokenizer == identity)
        #expect(try TokenShard(path: write([7])[0]).tokenizer == nil)

        for (place, number, reason) in [
            (40, 0, "version 0"), (40, 2, "newer swiftlet"), (44, 0, "0 tokens"), (44, -1, "-1 tokens"),
            (44, Int(Int32.max), "2147483647 tokens"),
        ] {
            var broken = bytes
            broken.replaceSubrange(place..<place + 4, with: little([number]))
            try directory.write("train_000000.bin", broken)
            let error = #expect(throws: ExitError.self) { try TokenShard(path: path) }
            #expect(error?.exitCode == 65)
            #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
        }
    }

    /// Every number that a header can hold in every field: an error or a shard, never a trap.
    @Test func numbersInHeadersNeverTrap() throws {
        let path = try write([0, 1, 2])[0]
        let good = try directory.read("train_000000.bin")
        for field in [0, 1, 2, 8, 9, 10, 11, 12] {
            for number in [0, 1, -1, Int(Int32.max), Int(Int32.min), 0x7374_6677] {
                var bytes = good
                bytes.replaceSubrange(4 * field..<4 * field + 4, with: little([number]))
                try directory.write("train_000000.bin", bytes)
                do { _ = try TokenShard(path: path) } catch { #expect(exitCode(of: error) == 65, "\(error)") }
            }
        }
    }

    /// H4: a pipe is refused at once, before anyone waits for a writer.
    @Test func pipesAreNoShards() throws {
        let path = directory.folder.appending("pipe.bin")
        #expect(mkfifo(path.string, 0o600) == 0)
        let error = #expect(throws: FileSystemError.self) { try TokenStream(paths: [path]) }
        #expect(error?.exitCode == 65)
        #expect(error?.description.contains("is a pipe, expected a file") == true)
    }

    @Test func pointersOfGitLFSAreSaidToBeThat() throws {
        let text = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
        let path = FilePath(try directory.write("train_000000.bin", text.utf8))
        let error = #expect(throws: ExitError.self) { try TokenShard(path: path) }
        #expect(error?.description.contains("git lfs pull") == true)
    }
}
