import Basics
import Foundation
import Glibc
import Testing
import TokenData

/// Streams of shards: sequences, ids outside the vocabulary, files that change, identity.
@Suite struct TokenStreamTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func stream(_ counts: [Int], vocabularySize: Int? = 60_000, width: Int = 2) throws -> TokenStream {
        var next: Int32 = 0
        for (index, count) in counts.enumerated() {
            let writer = TokenShardWriter(
                directory: directory.folder, prefix: "part\(index)", vocabularySize: width == 2 ? 60_000 : 70_000)
            let tokens = (0..<Int32(count)).map { next + $0 }
            next += Int32(count)
            try writer.append(tokens.span)
            _ = try writer.publish()
        }
        return try TokenStream(glob: directory.folder.appending("part*.bin"), vocabularySize: vocabularySize)
    }

    private func sequence(_ stream: TokenStream, _ index: Int, _ length: Int) throws -> ([Int32], [Int32]) {
        var inputs = [Int32](repeating: -1, count: length)
        var targets = inputs
        var inputSpan = inputs.mutableSpan
        var targetSpan = targets.mutableSpan
        try stream.copySequence(index, contextLength: length, inputs: &inputSpan, targets: &targetSpan)
        return (inputs, targets)
    }

    /// Token p of the stream is p, so a sequence shows where it was read.
    @Test(arguments: [1, 2, 3, 5, 9, 16], [2, 4])
    func sequencesCrossShards(length: Int, width: Int) throws {
        let stream = try stream([5, 1, 2, 17, 4], width: width)
        #expect(stream.tokenCount == 29)
        #expect(stream.sequenceCount(contextLength: length) == 28 / length)
        for index in 0..<stream.sequenceCount(contextLength: length) {
            let (inputs, targets) = try sequence(stream, index, length)
            #expect(inputs == (0..<length).map { Int32(index * length + $0) })
            #expect(targets == (1...length).map { Int32(index * length + $0) })
        }
    }

    @Test func shardsAreSortedByName() throws {
        for name in ["b_2", "b_10", "a", "B"] {
            let writer = TokenShardWriter(directory: directory.folder, prefix: name, vocabularySize: 300)
            let tokens: [Int32] = [1]
            try writer.append(tokens.span)
            _ = try writer.publish()
        }
        let stream = try TokenStream(glob: directory.folder.appending("*.bin"), vocabularySize: nil)
        let names = stream.shards.map { $0.path.lastComponent!.string.dropLast(11) }
        #expect(names == ["B", "a", "b_10", "b_2"])
    }

    @Test func countsOfFewTokens() throws {
        let stream = try stream([3, 1])
        #expect(stream.sequenceCount(contextLength: 3) == 1)
        #expect(stream.sequenceCount(contextLength: 4) == 0)
        #expect(try stream.requireSequences(contextLength: 3) == 1)
        let error = #expect(throws: ExitError.self) { try stream.requireSequences(2, contextLength: 3) }
        #expect(error?.exitCode == 65)
        #expect(error?.description.contains("4 tokens") == true)
        #expect(try TokenStream(paths: [], vocabularySize: nil).sequenceCount(contextLength: 1) == 0)
    }

    @Test func patternsWithoutMatchAreErrors() {
        let error = #expect(throws: ExitError.self) {
            try TokenStream(glob: directory.folder.appending("none_*.bin"), vocabularySize: nil)
        }
        #expect(error?.exitCode == 66)
        #expect(error?.description.contains("/none_*.bin") == true)
    }

    /// The first, the last and some other token, in either width, found by both ways of reading.
    @Test(arguments: [0, 1, 6, 28], [2, 4])
    func idsOutsideTheVocabularyAreNamed(place: Int, width: Int) throws {
        let good = try stream([6, 23], width: width)
        try good.validateTokenIDs(vocabularySize: 29)
        let shard = place < 6 ? 0 : 1
        let offset = place < 6 ? place : place - 6
        let name = "part\(shard)_000000.bin"
        var bytes = try directory.read(name)
        bytes[1024 + offset * width] = 77
        try directory.write(name, bytes)
        let bad = try TokenStream(glob: directory.folder.appending("part*.bin"), vocabularySize: 29)
        let scan = #expect(throws: ExitError.self) { try bad.validateTokenIDs(vocabularySize: 29) }
        let read = #expect(throws: ExitError.self) { for index in 0..<28 { _ = try sequence(bad, index, 1) } }
        for error in [scan, read] {
            #expect(error?.exitCode == 65)
            let text = error?.description ?? ""
            #expect(text.contains("\(name)' has token id 77 at token \(offset), but the vocabulary has 29 tokens"))
        }
        // The smallest vocabulary that has the id, and the largest that has it not.
        try bad.validateTokenIDs(vocabularySize: 78)
        for (size, isBad) in [(78, false), (77, true)] {
            let stream = try TokenStream(glob: directory.folder.appending("part*.bin"), vocabularySize: size)
            let index = max(0, place - 1)
            #expect((try? sequence(stream, index, 1)) == nil ? isBad : !isBad)
        }
    }

    /// Of many bad ids the scan names the first, at any number of threads.
    @Test(arguments: [1, 2, 5]) func theScanNamesTheFirst(threads: Int) throws {
        var tokens = [Int32](repeating: 5, count: 3_200_001)
        for place in [3_200_000, 2_999_999, 1_500_001] { tokens[place] = 40_000 }
        let writer = TokenShardWriter(directory: directory.folder, prefix: "part", vocabularySize: 60_000)
        try writer.append(tokens.span)
        let stream = try TokenStream(paths: writer.publish(), vocabularySize: nil)
        try stream.validateTokenIDs(vocabularySize: 40_001, threads: threads)
        let error = #expect(throws: ExitError.self) {
            try stream.validateTokenIDs(vocabularySize: 40_000, threads: threads)
        }
        #expect(error?.description.contains("token id 40000 at token 1500001,") == true)
    }

    @Test func hugeWideIdsAreTooLargeNotNegative() throws {
        _ = try stream([3], width: 4)
        var bytes = try directory.read("part0_000000.bin")
        bytes[1024 + 7] = 0xFF
        try directory.write("part0_000000.bin", bytes)
        let bad = try TokenStream(glob: directory.folder.appending("part*.bin"), vocabularySize: 70_000)
        for attempt in [{ _ = try sequence(bad, 0, 2) }, { try bad.validateTokenIDs(vocabularySize: 70_000) }] {
            let error = #expect(throws: ExitError.self) { try attempt() }
            #expect(error?.description.contains("token id 4278190081") == true)
        }
    }

    /// Fault D4: no SIGBUS, an error with the file's name.
    @Test func aShrinkingShardIsAnError() throws {
        let stream = try stream([6, 20_000])
        let path = stream.shards[1].path.string
        #expect(truncate(path, 1024 + 2 * 9_000) == 0)
        _ = try sequence(stream, 1, 4_000)
        for attempt in [{ _ = try sequence(stream, 2, 4_000) }, { try stream.validateTokenIDs(vocabularySize: 10) }] {
            let error = #expect(throws: ExitError.self) { try attempt() }
            #expect(error?.exitCode == 65)
            #expect(error?.description.contains("\(path)' has become shorter: it had 41024 bytes") == true)
        }
    }

    @Test func identityFollowsNamesSizesAndContents() throws {
        let first = try stream([100, 3_000_000 / 1000])
        let again = try TokenStream(glob: directory.folder.appending("part*.bin"), vocabularySize: nil)
        #expect(try first.identity() == again.identity())
        #expect(try first.identity().count == 16)
        let other = try TokenStream(paths: [first.shards[1].path, first.shards[0].path], vocabularySize: nil)
        let name = try first.identity()
        #expect(try other.identity() != name)
        for place in [1024, 1025, 1223] {
            var bytes = try directory.read("part0_000000.bin")
            bytes[place] ^= 1
            try directory.write("part0_000000.bin", bytes)
            let changed = try TokenStream(glob: directory.folder.appending("part*.bin"), vocabularySize: nil)
            #expect(try changed.identity() != name)
            bytes[place] ^= 1
            try directory.write("part0_000000.bin", bytes)
        }
        try directory.write("moved/part0_000000.bin", directory.read("part0_000000.bin"))
        try directory.write("moved/part1_000000.bin", directory.read("part1_000000.bin"))
        #expect(try TokenStream(glob: directory.folder.appending("moved/*"), vocabularySize: nil).identity() == name)
    }

    /// A large shard is sampled: its start and end count, and so does its size.
    @Test func identityOfALargeShard() throws {
        let writer = TokenShardWriter(directory: directory.folder, prefix: "part", vocabularySize: 60_000)
        try writer.append([Int32](repeating: 7, count: 4_000_000).span)
        let path = try writer.publish()[0]
        func identity() throws -> String { try TokenStream(paths: [path], vocabularySize: nil).identity() }
        let good = try identity()
        let descriptor = open(path.string, O_WRONLY)
        defer { close(descriptor) }
        // 64 blocks of 64 KiB; between two of them nothing is read.
        let size = 1024 + 8_000_000
        let starts = (0..<64).map { $0 == 63 ? size - 65_536 : (size - 65_536) / 63 * $0 }
        for (place, counts) in [1, 31, 62].flatMap({ [(starts[$0], true), (starts[$0] + 65_535, true)] })
            + [(1024, true), (size - 1, true), (starts[63], true), (65_536, false), (starts[31] - 1, false)]
        {
            let byte: UInt8 = place % 2 == 0 ? 7 : 0
            #expect(pwrite(descriptor, [byte ^ 1], 1, place) == 1)
            #expect(try (identity() != good) == counts, "\(place)")
            #expect(pwrite(descriptor, [byte], 1, place) == 1)
        }
        #expect(try identity() == good)
    }

    @Test func theRangeOfIds() throws {
        #expect(try stream([2, 3]).idRange() == 0...4)
        #expect(try TokenStream(paths: []).idRange() == nil)
        // Far behind the first block.
        var tokens = [Int32](repeating: 9, count: 2_100_000)
        (tokens[2_099_998], tokens[2_099_999]) = (3, 69_999)
        let writer = TokenShardWriter(directory: directory.folder, prefix: "wide", vocabularySize: 70_000)
        try writer.append(tokens.span)
        #expect(try TokenStream(paths: writer.publish()).idRange() == 3...69_999)
    }

    /// Two bytes hold 65,535, so only a vocabulary that has it needs no look.
    @Test func theLargestIdOfTwoBytes() throws {
        let writer = TokenShardWriter(directory: directory.folder, prefix: "part", vocabularySize: 65_536)
        let tokens: [Int32] = [1, 65_535]
        try writer.append(tokens.span)
        let stream = try TokenStream(paths: writer.publish())
        #expect(try stream.idRange() == 1...65_535)
        try stream.validateTokenIDs(vocabularySize: 65_536)
        #expect(throws: ExitError.self) { try stream.validateTokenIDs(vocabularySize: 65_535) }
    }

    /// S14, P9: what exists under the very name that is written is meant by it, and nothing else.
    @Test func literalNamesWinOverPatterns() throws {
        for folder in ["st*r", "stXr", "br[ab]c", "bra", "brac", "dir[1]", "q?", "qx", "back\\slash"] {
            for name in ["train_000000.bin", "train_000001.bin"] { try directory.write("\(folder)/\(name)", []) }
        }
        try directory.write(".hidden/train_000000.bin", [])
        try directory.write("b[1].bin", [])
        try directory.write("b1.bin", [])
        func matches(_ pattern: String) throws -> [String] {
            try directory.folder.appending(pattern).matches().map {
                $0.string.replacing(directory.path + "/", with: "")
            }
        }
        let (first, second) = ("train_000000.bin", "train_000001.bin")
        #expect(try matches("st*r/\(first)") == ["st*r/\(first)"])
        #expect(try matches("st*r/*.bin") == ["st*r/\(first)", "st*r/\(second)"])
        #expect(try matches("s*r/\(first)") == ["st*r/\(first)", "stXr/\(first)"])
        #expect(try matches("br[ab]c/\(first)") == ["br[ab]c/\(first)"])
        #expect(try matches("br[ab]*/\(first)") == ["bra/\(first)", "brac/\(first)"])
        #expect(try matches("br[!a]*/\(first)") == ["br[ab]c/\(first)"])
        #expect(try matches("bra[bc]/\(first)") == ["brac/\(first)"])
        #expect(try matches("dir[1]/train_*.bin") == ["dir[1]/\(first)", "dir[1]/\(second)"])
        #expect(try matches("q?/\(second)") == ["q?/\(second)"])
        #expect(try matches("st\\*r/\(first)") == ["st*r/\(first)"])
        #expect(try matches("back\\slash/\(first)") == ["back\\slash/\(first)"])
        #expect(try matches("b[1].bin") == ["b[1].bin"])
        #expect(try matches("b?.bin") == ["b1.bin"])
        #expect(try matches("*/train_000001.bin").count == 9)
        #expect(try matches("none/*.bin").isEmpty)
        #expect(try matches("b1.bin/*.bin").isEmpty)
        #expect(try matches("st*r/../b1.bin") == ["st*r/../b1.bin"])
    }

    /// Patterns mean bytes: names that are no text are found and keep their place.
    @Test func patternsMatchBytes() throws {
        for name in [[0x61, 0xE9], [0x61, 0xC3, 0xA9], [0x61, 0x7A]] as [[UInt8]] {
            let name = FilePath.Component(platformString: name.map { CChar(bitPattern: $0) } + [0])
            let path = directory.folder.appending(try #require(name))
            let file = try OutputFile(creating: path)
            try file.close()
        }
        let found = try directory.folder.appending("a?").matches().map {
            $0.lastComponent!.withPlatformString { $0[1] }
        }
        #expect(found == [0x7A, CChar(bitPattern: 0xE9)])
        #expect(try directory.folder.appending("a*").matches().count == 3)
    }

    /// P3: more shards than may be open, in any order; one that was replaced is an error.
    @Test func manyShardsAreOpenedAsNeeded() throws {
        for index in 0..<300 {
            let writer = TokenShardWriter(
                directory: directory.folder, prefix: "part\(1000 + index)", vocabularySize: 60_000)
            let tokens = (0..<10).map { Int32(10 * index + $0) }
            try writer.append(tokens.span)
            _ = try writer.publish()
        }
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
        let stream = try TokenStream(glob: directory.folder.appending("part*.bin"), vocabularySize: 60_000)
        for index in (0..<299).map({ $0 * 77 % 299 }) {
            #expect(try sequence(stream, index, 10).0 == (0..<10).map { Int32(10 * index + $0) })
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count < open + 250)
        _ = try stream.identity()

        // The first was closed long ago, and another of the same size is there now.
        var bytes = try directory.read("part1000_000000.bin")
        bytes[1024] ^= 1
        try directory.write("part1000_000000.bin", bytes)
        let error = #expect(throws: ExitError.self) { try sequence(stream, 0, 10) }
        #expect(error?.exitCode == 65)
        #expect(error?.description.contains("part1000_000000.bin' was changed since the start") == true)
    }
}
