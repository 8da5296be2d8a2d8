import Basics
import Foundation
import Testing
import TokenData

/// From files to shards: which documents, which part is validation, and the same tokens whatever the threads.
@Suite struct CorpusTokenizerTests {
    private let inputs: TemporaryDirectory
    private let outputs: TemporaryDirectory

    init() throws {
        inputs = try TemporaryDirectory()
        outputs = try TemporaryDirectory()
    }

    @discardableResult
    private func tokenize(
        _ paths: [String]? = nil, fraction: Double = 0, threads: Int = 2, tokenizer: Tokenizer? = nil
    ) throws -> CorpusTokenizer.Summary {
        let source = try CorpusSource(paths: paths ?? [inputs.path], outputDirectory: outputs.path)
        return try CorpusTokenizer(
            source: source, outputDirectory: outputs.path, validationFraction: fraction, threads: threads
        ).run(tokenizer: tokenizer, trainer: BPETrainer(vocabularySize: 300))
    }

    private func tokens(_ prefix: String) throws -> [Int32] {
        let stream = try TokenStream(glob: "\(outputs.path)/\(prefix)_*.bin", vocabularySize: 300)
        var tokens = [Int32](repeating: 0, count: stream.tokenCount)
        var span = tokens.mutableSpan
        try stream.copyTokens(from: 0, into: &span, 0..<stream.tokenCount)
        return tokens
    }

    /// The documents that a set of shards holds, without the token before each.
    private func documents(_ prefix: String) throws -> [String] {
        let tokenizer = try Tokenizer(path: outputs.path)
        let end = try #require(tokenizer.endOfTextID)
        let tokens = try tokens(prefix)
        #expect(tokens.first == end)
        return tokens.dropFirst().split(separator: end, omittingEmptySubsequences: false).map {
            tokenizer.decodeString($0)
        }
    }

    @Test func documentsComeInOrder() throws {
        try inputs.write("b.txt", Array("second".utf8))
        try inputs.write("a/z.txt", Array("first, <|endoftext|> as text".utf8))
        try inputs.write("a/.hidden", Array("hidden".utf8))
        try inputs.write(".git/config", Array("hidden".utf8))
        try inputs.write("c.bin", [65, 0, 66])
        try inputs.write("d.txt", [])
        try inputs.write("e.txt", [0x66, 0xFF, 0x66])
        let source = try CorpusSource(paths: [inputs.path, inputs.path + "/b.txt"], outputDirectory: outputs.path)
        #expect(source.documents.map(\.byteCount) == [28, 6, 3])
        #expect(source.binaryPaths == [inputs.path + "/c.bin"])
        #expect(source.emptyCount == 1)
        #expect(source.repeatedCount == 1)
        let summary = try tokenize()
        #expect(try documents("train") == ["first, <|endoftext|> as text", "second", "f\u{FFFD}f"])
        #expect(summary.trainTokens == (try tokens("train").count))
        #expect(summary.validationPaths == [])
        #expect(try outputs.names() == ["tokenizer.json", "train_000000.bin"])
    }

    @Test func linksInACircleEnd() throws {
        try inputs.write("a/text", Array("text".utf8))
        #expect(symlink("..", inputs.path + "/a/up") == 0)
        #expect(symlink("nowhere", inputs.path + "/a/broken") == 0)
        let source = try CorpusSource(paths: [inputs.path], outputDirectory: outputs.path)
        #expect(source.unreachableCount == 1)
        try tokenize()
        #expect(try documents("train") == ["text"])
    }

    /// Megabytes, so that the text is cut into pieces: no thread count and no cut shows in the tokens.
    @Test func piecesAndThreadsDoNotShow() throws {
        var random = SeededGenerator(state: 6)
        let words = (0..<500).map { _ in
            String((0..<Int.random(in: 1..<9, using: &random)).map { _ in "abcdé日 \n'".randomElement(using: &random)! })
        }
        let text = (0..<700_000).map { _ in words.randomElement(using: &random)! }.joined(separator: " ")
        #expect(text.utf8.count > 3 << 20)
        try inputs.write("text", Array(text.utf8))
        let summary = try tokenize(threads: 1)
        let single = try outputs.read("train_000000.bin")
        let json = try outputs.read("tokenizer.json")
        try tokenize(threads: 3)
        #expect(try outputs.read("train_000000.bin") == single)
        #expect(try outputs.read("tokenizer.json") == json)
        #expect(try tokens("train") == [0] + summary.tokenizer.encode(text))
    }

    @Test func fewDocumentsGiveTheirEndForValidation() throws {
        let lines = (0..<100).map { "line \($0) of the text\n" }
        try inputs.write("a", Array(lines[..<40].joined().utf8))
        try inputs.write("b", Array(lines[40...].joined().utf8))
        try tokenize(fraction: 0.2)
        let train = try documents("train")
        let validation = try documents("val")
        #expect(train.count == 2 && validation.count == 1)
        #expect((train + validation).joined() == lines.joined())
        #expect(validation[0].hasPrefix("line ") && train[1].hasSuffix("\n"))
        let share = Double(validation[0].utf8.count) / Double(lines.joined().utf8.count)
        #expect(share >= 0.2 && share < 0.22)
    }

    @Test func manyDocumentsAreDrawnByTheirContents() throws {
        let texts = (0..<100).map { "document \($0) \(String(repeating: "text ", count: $0 % 7 + 1))" }
        for (index, text) in texts.enumerated() { try inputs.write("\(index)", Array(text.utf8)) }
        try tokenize(fraction: 0.2)
        let train = try documents("train")
        let validation = try documents("val")
        #expect((train + validation).sorted() == texts.sorted())
        let share = Double(validation.joined().utf8.count) / Double(texts.joined().utf8.count)
        #expect(share > 0.18 && share <= 0.2)
        // Under other names the same documents are drawn.
        let renamed = try TemporaryDirectory()
        for (index, text) in texts.enumerated() { try renamed.write("x\(1000 - index)", Array(text.utf8)) }
        try tokenize([renamed.path], fraction: 0.2)
        #expect(try documents("val").sorted() == validation.sorted())
    }

    /// Equal documents never stand on both sides.
    @Test func equalDocumentsStayTogether() throws {
        for index in 0..<60 { try inputs.write("\(index)", Array("document \(index % 20)".utf8)) }
        try tokenize(fraction: 0.3)
        let validation = try Set(documents("val"))
        #expect(!validation.isEmpty)
        #expect(try validation.isDisjoint(with: documents("train")))
    }

    @Test func textsTooShortToDivideAreTraining() throws {
        try inputs.write("a", Array("word".utf8))
        let summary = try tokenize(fraction: 0.1)
        #expect(summary.validationTokens == 0)
        #expect(try documents("train") == ["word"])
    }

    @Test func anEarlierOutputGivesWay() throws {
        for name in ["train_000000.bin", "train_000003.bin", "val_000000.bin", "tokenizer.json"] {
            try outputs.write(name, [1])
        }
        for name in [".train_000005.bin.partial", ".tokenizer.json.partial"] { try outputs.write(name, [1]) }
        try outputs.write("notes.txt", [2])
        try inputs.write("a", Array("some text".utf8))
        try tokenize()
        #expect(try outputs.names() == ["notes.txt", "tokenizer.json", "train_000000.bin"])
    }

    @Test func theOutputIsNoInput() throws {
        try inputs.write("a", Array("some text".utf8))
        try inputs.write("data/tokenizer.json", Array("earlier output".utf8))
        let source = try CorpusSource(paths: [inputs.path], outputDirectory: inputs.path + "/data")
        #expect(source.documents.map(\.path) == [inputs.path + "/a"])
    }

    @Test func aDirectoryInUseIsAnError() throws {
        try inputs.write("a", Array("some text".utf8))
        let descriptor = open(outputs.path, O_RDONLY)
        defer { close(descriptor) }
        #expect(flock(descriptor, LOCK_EX) == 0)
        let error = #expect(throws: TokenDataError.self) { try tokenize() }
        #expect(error?.exitCode == 81)
    }

    @Test func aGivenTokenizerIsUsedAsItIs() throws {
        try inputs.write("a", Array(TokenizerGoldens.text.utf8))
        var words = WordCounts()
        words.add("entirely different words, entirely different merges")
        let given = try BPETrainer(vocabularySize: 280).train(words)
        try tokenize(tokenizer: given)
        #expect(try Tokenizer(path: outputs.path).identity == given.identity)
        #expect(try tokens("train") == [0] + given.encode(TokenizerGoldens.text))
        let withoutEnd = try BPETrainer(vocabularySize: 280, specialTokens: []).train(words)
        let error = #expect(throws: TokenDataError.self) { try tokenize(tokenizer: withoutEnd) }
        #expect(error?.exitCode == 65)
    }

    @Test func pipesAreRead() throws {
        let path = inputs.path + "/pipe"
        #expect(mkfifo(path, 0o600) == 0)
        Thread.detachNewThread {
            let handle = FileHandle(forWritingAtPath: path)
            handle?.write(Data("from a pipe".utf8))
            try? handle?.close()
        }
        try tokenize([path])
        #expect(try documents("train") == ["from a pipe"])
        #expect(try outputs.names() == ["tokenizer.json", "train_000000.bin"])
    }

    @Test func badInputsAreErrors() throws {
        func code(_ body: () throws -> Void) -> ExitCode? {
            #expect(throws: TokenDataError.self) { try body() }?.exitCode
        }
        #expect(code { try tokenize([inputs.path + "/none"]) } == 66)
        #expect(code { try tokenize([inputs.path]) } == 65)
        try inputs.write("empty", [])
        #expect(code { try tokenize([inputs.path]) } == 65)
        try inputs.write("text", Array("text".utf8))
        for fraction in [-0.1, 1, 2, .nan, .infinity] { #expect(code { try tokenize(fraction: fraction) } == 64) }
        #expect(try outputs.names() == [])
    }
}
