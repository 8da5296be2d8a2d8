import Basics
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
                directory: directory.path, prefix: "part\(index)", vocabularySize: width == 2 ? 60_000 : 70_000)
            let tokens = (0..<Int32(count)).map { next + $0 }
            next += Int32(count)
            try writer.append(tokens.span)
            _ = try writer.publish()
        }
        return try TokenStream(glob: directory.path + "/part*.bin", vocabularySize: vocabularySize)
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
            let writer = TokenShardWriter(directory: directory.path, prefix: name, vocabularySize: 300)
            let tokens: [Int32] = [1]
            try writer.append(tokens.span)
            _ = try writer.publish()
        }
        let stream = try TokenStream(glob: directory.path + "/*.bin", vocabularySize: nil)
        let names = stream.shards.map { $0.path.split(separator: "/").last!.dropLast(11) }
        #expect(names == ["B", "a", "b_10", "b_2"])
    }

    @Test func countsOfFewTokens() throws {
        let stream = try stream([3, 1])
        #expect(stream.sequenceCount(contextLength: 3) == 1)
        #expect(stream.sequenceCount(contextLength: 4) == 0)
        #expect(try stream.requireSequences(contextLength: 3) == 1)
        let error = #expect(throws: TokenDataError.self) { try stream.requireSequences(2, contextLength: 3) }
        #expect(error?.exitCode == 65)
        #expect(error?.description.contains("4 tokens") == true)
        #expect(try TokenStream(paths: [], vocabularySize: nil).sequenceCount(contextLength: 1) == 0)
    }

    @Test func patternsWithoutMatchAreErrors() {
        let error = #expect(throws: TokenDataError.self) {
            try TokenStream(glob: directory.path + "/none_*.bin", vocabularySize: nil)
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
        let bad = try TokenStream(glob: directory.path + "/part*.bin", vocabularySize: 29)
        let scan = #expect(throws: TokenDataError.self) { try bad.validateTokenIDs(vocabularySize: 29) }
        let read = #expect(throws: TokenDataError.self) { for index in 0..<28 { _ = try sequence(bad, index, 1) } }
        for error in [scan, read] {
            #expect(error?.exitCode == 65)
            let text = error?.description ?? ""
            #expect(text.contains("\(name)' has token id 77 at token \(offset), but the vocabulary has 29 tokens"))
        }
        // The smallest vocabulary that has the id, and the largest that has it not.
        try bad.validateTokenIDs(vocabularySize: 78)
        for (size, isBad) in [(78, false), (77, true)] {
            let stream = try TokenStream(glob: directory.path + "/part*.bin", vocabularySize: size)
            let index = max(0, place - 1)
            #expect((try? sequence(stream, index, 1)) == nil ? isBad : !isBad)
        }
    }

    /// Of many bad ids the scan names the first, at any number of threads.
    @Test(arguments: [1, 2, 5]) func theScanNamesTheFirst(threads: Int) throws {
        var tokens = [Int32](repeating: 5, count: 3_200_001)
        for place in [3_200_000, 2_999_999, 1_500_001] { tokens[place] = 40_000 }
        let writer = TokenShardWriter(directory: directory.path, prefix: "part", vocabularySize: 60_000)
        try writer.append(tokens.span)
        let stream = try TokenStream(paths: writer.publish(), vocabularySize: nil)
        try stream.validateTokenIDs(vocabularySize: 40_001, threads: threads)
        let error = #expect(throws: TokenDataError.self) {
            try stream.validateTokenIDs(vocabularySize: 40_000, threads: threads)
        }
        #expect(error?.description.contains("token id 40000 at token 1500001,") == true)
    }

    @Test func hugeWideIdsAreTooLargeNotNegative() throws {
        _ = try stream([3], width: 4)
        var bytes = try directory.read("part0_000000.bin")
        bytes[1024 + 7] = 0xFF
        try directory.write("part0_000000.bin", bytes)
        let bad = try TokenStream(glob: directory.path + "/part*.bin", vocabularySize: 70_000)
        for attempt in [{ _ = try sequence(bad, 0, 2) }, { try bad.validateTokenIDs(vocabularySize: 70_000) }] {
            let error = #expect(throws: TokenDataError.self) { try attempt() }
            #expect(error?.description.contains("token id 4278190081") == true)
        }
    }

    /// Fault D4: no SIGBUS, an error with the file's name.
    @Test func aShrinkingShardIsAnError() throws {
        let stream = try stream([6, 20_000])
        let path = stream.shards[1].path
        #expect(truncate(path, 1024 + 2 * 9_000) == 0)
        _ = try sequence(stream, 1, 4_000)
        for attempt in [{ _ = try sequence(stream, 2, 4_000) }, { try stream.validateTokenIDs(vocabularySize: 10) }] {
            let error = #expect(throws: TokenDataError.self) { try attempt() }
            #expect(error?.exitCode == 65)
            #expect(error?.description.contains("\(path)' has become shorter: it had 41024 bytes") == true)
        }
    }

    @Test func identityFollowsNamesSizesAndContents() throws {
        let first = try stream([100, 3_000_000 / 1000])
        let again = try TokenStream(glob: directory.path + "/part*.bin", vocabularySize: nil)
        #expect(first.identity == again.identity)
        #expect(first.identity.count == 16)
        let other = try TokenStream(paths: [first.shards[1].path, first.shards[0].path], vocabularySize: nil)
        #expect(other.identity != first.identity)
        for place in [1024, 1025, 1223] {
            var bytes = try directory.read("part0_000000.bin")
            bytes[place] ^= 1
            try directory.write("part0_000000.bin", bytes)
            let changed = try TokenStream(glob: directory.path + "/part*.bin", vocabularySize: nil)
            #expect(changed.identity != first.identity)
            bytes[place] ^= 1
            try directory.write("part0_000000.bin", bytes)
        }
        try directory.write("moved/part0_000000.bin", directory.read("part0_000000.bin"))
        try directory.write("moved/part1_000000.bin", directory.read("part1_000000.bin"))
        #expect(try TokenStream(glob: directory.path + "/moved/*", vocabularySize: nil).identity == first.identity)
    }

    /// A large shard is sampled: its start and end count, and so does its size.
    @Test func identityOfALargeShard() throws {
        let writer = TokenShardWriter(directory: directory.path, prefix: "part", vocabularySize: 60_000)
        try writer.append([Int32](repeating: 7, count: 4_000_000).span)
        let path = try writer.publish()[0]
        let identity = try TokenStream(paths: [path], vocabularySize: nil).identity
        let good = try directory.read("part_000000.bin")
        for place in [1024, 1024 + 8_000_000 - 1] {
            var bytes = good
            bytes[place] ^= 1
            try directory.write("part_000000.bin", bytes)
            #expect(try TokenStream(paths: [path], vocabularySize: nil).identity != identity)
        }
    }
}
