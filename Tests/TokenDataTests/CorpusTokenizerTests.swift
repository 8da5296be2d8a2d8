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
        _ paths: [String]? = nil, fraction: Double = 0, threads: Int = 2, tokenizer: Tokenizer? = nil,
        overwrites: Bool = true
    ) throws -> CorpusTokenizer.Summary {
        let output = CorpusOutput(path: outputs.folder, overwrites: overwrites)
        let source = try CorpusSource(paths: (paths ?? [inputs.path]).map { FilePath($0) }, output: output)
        return try CorpusTokenizer(
            source: source, output: output, validationFraction: fraction, threads: threads
        ).run(tokenizer: tokenizer, trainer: BPETrainer(vocabularySize: 300))
    }

    private func source(_ paths: [String]? = nil, output: FilePath? = nil) throws -> CorpusSource {
        try CorpusSource(
            paths: (paths ?? [inputs.path]).map { FilePath($0) }, output: CorpusOutput(path: output ?? outputs.folder))
    }

    /// What a source left out or doubts, as `count kind` with the example's name.
    private func lines(_ remarks: [CorpusSource.Remark]) -> [String] {
        remarks.map { "\($0.count) \($0.kind): \($0.example.lastComponent?.string ?? "")" }
    }

    /// The names in the output folder but for the lock.
    private func outputNames() throws -> [String] { try outputs.names().filter { $0 != ".lock" } }

    private func tokens(_ prefix: String) throws -> [Int32] {
        let stream = try TokenStream(glob: outputs.folder.appending("\(prefix)_*.bin"), vocabularySize: 300)
        var tokens = [Int32](repeating: 0, count: stream.tokenCount)
        var span = tokens.mutableSpan
        try stream.copyTokens(from: 0, into: &span, 0..<stream.tokenCount)
        return tokens
    }

    /// The documents that a set of shards holds, without the token before each.
    private func documents(_ prefix: String) throws -> [String] {
        let tokenizer = try Tokenizer(path: outputs.folder)
        let end = try #require(tokenizer.endOfTextID)
        let tokens = try tokens(prefix)
        #expect(tokens.first == end)
        return tokens.dropFirst().split(separator: end, omittingEmptySubsequences: false).map {
            tokenizer.decodeString($0)
        }
    }

    @Test func documentsComeInOrder() throws {
        try inputs.write("b.txt", Array("second".utf8))
        try inputs.write("a/z.txt", Array("first, < |endoftext|> as text".utf8))
        try inputs.write("a/.hidden", Array("hidden".utf8))
        try inputs.write(".git/config", Array("hidden".utf8))
        try inputs.write("c.bin", [65, 0, 66])
        try inputs.write("d.txt", [])
        try inputs.write("e.txt", [0x66, 0xFF, 0x66])
        let source = try source([inputs.path, inputs.path + "/b.txt"])
        #expect(source.documents.map(\.byteCount) == [29, 6, 3])
        #expect(
            lines(source.leftOut) == [
                "1 binary (they hold NUL bytes): c.bin", "1 empty: d.txt", "1 given twice: b.txt",
            ])
        let summary = try tokenize()
        #expect(try documents("train") == ["first, < |endoftext|> as text", "second", "f\u{FFFD}f"])
        #expect(summary.trainTokens == (try tokens("train").count))
        #expect(summary.validationPaths == [])
        #expect(try outputNames() == ["tokenizer.json", "train_000000.bin"])
    }

    @Test func linksInACircleEnd() throws {
        try inputs.write("a/text", Array("text".utf8))
        #expect(symlink("..", inputs.path + "/a/up") == 0)
        #expect(symlink("nowhere", inputs.path + "/a/broken") == 0)
        try tokenize()
        #expect(try documents("train") == ["text"])
    }

    /// S12: whatever is left out is counted and named, and what is perhaps not meant as text is doubted.
    @Test func nothingVanishesWithoutAWord() throws {
        try inputs.write("a.txt", Array("text".utf8))
        #expect(symlink(".", inputs.path + "/link") == 0)
        #expect(symlink("nowhere", inputs.path + "/broken") == 0)
        for name in ["pipe1", "pipe2"] { #expect(mkfifo(inputs.path + "/" + name, 0o600) == 0) }
        try inputs.write("latin1.txt", [0x63, 0x61, 0x66, 0xE9, 0x20])
        try inputs.write("latin2.txt", [0xE9])
        try inputs.write("utf16.txt", [0xFF, 0xFE, 0x41, 0x00])
        try inputs.write("utf16be.txt", [0xFE, 0xFF, 0x4E, 0x2D])
        try inputs.write("b.gz", [0x1F, 0x8B, 8, 1, 2, 3])
        try inputs.write("b.parquet", Array("PAR1 data".utf8))
        try inputs.write("lines.jsonl", Array(#"{"text": "a"}"#.utf8))
        let source = try source()
        #expect(
            lines(source.leftOut) == [
                "1 compressed (unpack them first): b.gz", "1 Parquet (write their text out first): b.parquet",
                "1 broken links: broken", "1 links to folders: link", "2 pipes, sockets or devices: pipe1",
                "2 UTF-16 (convert them with iconv -t UTF-8): utf16.txt",
            ])
        #expect(
            lines(source.doubts) == [
                "2 not UTF-8, taken byte by byte (Latin-1? iconv -f latin1 -t utf-8 converts it): latin1.txt",
                "1 .jsonl, taken as prose with its quotes and names (write the text out first): lines.jsonl",
            ])
        #expect(source.documents.count == 4)
    }

    /// S12: characters that are cut between two reads are no broken ones.
    @Test(arguments: [0, 1, 2, 3]) func charactersAcrossReadsAreWhole(shift: Int) throws {
        let text = String(repeating: "a", count: shift) + String(repeating: "日本𝟗é", count: 200_000)
        try inputs.write("a.txt", text.utf8)
        let source = try source()
        #expect(source.doubts.isEmpty)
        #expect(source.documents.map(\.byteCount) == [text.utf8.count])
        try inputs.write("a.txt", Array(text.utf8) + [0xE6])
        #expect(try self.source().doubts.count == 1)
    }

    /// S12: the input that is the output folder is said to be that.
    @Test func theOutputAsInputIsSaid() throws {
        try inputs.write("a.txt", Array("text".utf8))
        let error = #expect(throws: ExitError.self) { try source(output: inputs.folder) }
        #expect(error?.exitCode == 65)
        #expect(error?.description.contains("is the output folder, which is never input") == true)
        #expect(error?.description.contains("0 empty") == false)
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

    @Test func aTextGivesItsEndForValidation() throws {
        let lines = (0..<100).map { "line \($0) of the text\n" }
        try inputs.write("a", Array(lines.joined().utf8))
        try tokenize(fraction: 0.2)
        let train = try documents("train")
        let validation = try documents("val")
        #expect(train.count == 1 && validation.count == 1)
        #expect((train + validation).joined() == lines.joined())
        #expect(validation[0].hasPrefix("line ") && train[0].hasSuffix("\n"))
        let share = Double(validation[0].utf8.count) / Double(lines.joined().utf8.count)
        #expect(abs(share - 0.2) < 0.02)
    }

    @Test func documentsAreDrawnByTheirContents() throws {
        let texts = (0..<100).map { "document \($0) \(String(repeating: "text ", count: $0 % 7 + 1))" }
        for (index, text) in texts.enumerated() { try inputs.write("\(index)", Array(text.utf8)) }
        try tokenize(fraction: 0.2)
        let train = try documents("train")
        let validation = try documents("val")
        // One of them may have given its end alone.
        let whole = Set(texts)
        #expect(train.filter { !whole.contains($0) }.count <= 1)
        #expect(validation.filter { !whole.contains($0) }.count <= 1)
        #expect((train + validation).joined().utf8.count == texts.joined().utf8.count)
        let share = Double(validation.joined().utf8.count) / Double(texts.joined().utf8.count)
        #expect(abs(share - 0.2) < 0.02)
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
        // S17: not without being told.
        let error = #expect(throws: ExitError.self) { try tokenize(overwrites: false) }
        #expect(error?.exitCode == 73)
        #expect(error?.description.contains("tokenizer.json, …, val_000000.bin") == true)
        #expect(error?.description.contains("--overwrite") == true)
        #expect(try outputs.read("train_000003.bin") == [1])
        try tokenize()
        #expect(try outputNames() == ["notes.txt", "tokenizer.json", "train_000000.bin"])
    }

    /// S17: only the tokenizer that is used anyway may be there.
    @Test func aTokenizerOfAnotherCorpusStays() throws {
        try inputs.write("a", Array("some text".utf8))
        var words = WordCounts()
        words.add("other text, other text")
        let given = try BPETrainer(vocabularySize: 280).train(words)
        try outputs.write("tokenizer.json", given.tokenizerJSON())
        let error = #expect(throws: ExitError.self) { try tokenize(overwrites: false) }
        #expect(error?.exitCode == 73)
        try tokenize(tokenizer: given, overwrites: false)
        #expect(try outputNames() == ["tokenizer.json", "train_000000.bin"])
    }

    /// S17: an output folder is made only for input that is there.
    @Test func theFolderIsMadeForTextAlone() throws {
        let folder = outputs.folder.appending("new/folder")
        #expect(throws: FileSystemError.self) { try source([inputs.path + "/none"], output: folder) }
        #expect(throws: ExitError.self) { try source(output: folder) }
        #expect(try outputs.names() == [])
        try inputs.write("a", Array("some text".utf8))
        let output = CorpusOutput(path: folder)
        let text = try CorpusSource(paths: [inputs.folder], output: output)
        #expect(try outputs.names() == [])
        _ = try CorpusTokenizer(source: text, output: output, validationFraction: 0)
            .run(tokenizer: nil, trainer: BPETrainer(vocabularySize: 300))
        #expect(try outputs.names() == ["new"])
    }

    @Test func theOutputIsNoInput() throws {
        try inputs.write("a", Array("some text".utf8))
        try inputs.write("data/tokenizer.json", Array("earlier output".utf8))
        let source = try source(output: inputs.folder.appending("data"))
        #expect(source.documents.map(\.path) == [inputs.folder.appending("a")])
    }

    @Test func aDirectoryInUseIsAnError() throws {
        try inputs.write("a", Array("some text".utf8))
        let lock = try DirectoryLock.take(in: outputs.folder)
        defer { withExtendedLifetime(lock) {} }
        let error = #expect(throws: ExitError.self) { try tokenize() }
        #expect(error?.exitCode == 81)
    }

    @Test func aGivenTokenizerIsUsedAsItIs() throws {
        try inputs.write("a", Array(TokenizerGoldens.text.utf8))
        var words = WordCounts()
        words.add("entirely different words, entirely different merges")
        let given = try BPETrainer(vocabularySize: 280).train(words)
        try tokenize(tokenizer: given)
        #expect(try Tokenizer(path: outputs.folder).identity() == given.identity())
        #expect(try tokens("train") == [0] + given.encode(TokenizerGoldens.text))
        let json = String(decoding: given.tokenizerJSON(), as: UTF8.self).replacing("endoftext", with: "other")
        let withoutEnd = try Tokenizer(path: FilePath(inputs.write("other.json", Array(json.utf8))))
        let error = #expect(throws: ExitError.self) { try tokenize(tokenizer: withoutEnd) }
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
        #expect(try outputNames() == ["tokenizer.json", "train_000000.bin"])
    }

    @Test("H4: a device without an end is seen not to be text", .timeLimit(.minutes(1)))
    func aDeviceWithoutAnEnd() throws {
        let error = #expect(throws: ExitError.self) { try tokenize(["/dev/zero"]) }
        #expect(error?.exitCode == 65)
        #expect(error?.description.contains("left out: 1 binary (they hold NUL bytes)") == true, "\(error as Any)")
        #expect(try outputNames() == [])
    }

    @Test func badInputsAreErrors() throws {
        func code(_ body: () throws -> Void) -> ExitCode? {
            #expect(throws: (any Error).self) { try body() }.map { exitCode(of: $0) }
        }
        #expect(code { try tokenize([inputs.path + "/none"]) } == 66)
        #expect(code { try tokenize([inputs.path]) } == 65)
        try inputs.write("empty", [])
        #expect(code { try tokenize([inputs.path]) } == 65)
        #expect(try outputNames() == [])
    }

    /// S9: the mark in a text is the token, before each document it stands once, and no merge is learned from it.
    @Test func theMarkInATextIsTheToken() throws {
        let stories = ["One day. One day.", " One night.\n", "One more."]
        try inputs.write("a.txt", Array(stories.joined(separator: "<|endoftext|>").utf8))
        try inputs.write("b.txt", Array("<|endoftext|>One\n".utf8))
        let summary = try tokenize()
        #expect(try documents("train") == stories + ["One\n"])
        #expect(summary.marksInText == 3)
        let learned = (257..<Int32(summary.tokenizer.vocabularySize)).map { summary.tokenizer.decodeString([$0]) }
        #expect(!learned.isEmpty && learned.allSatisfy { !$0.contains("|") && !$0.contains("end") }, "\(learned)")
    }

    /// S9: the mark also where the text is cut into pieces, and tokens that hold a blank.
    @Test func marksAcrossPieces() throws {
        let story = String(repeating: "a story that goes on ", count: 40) + "<|endoftext|>"
        let text = String(repeating: story, count: 4000)
        #expect(text.utf8.count > 3 << 20)
        try inputs.write("a.txt", Array(text.utf8))
        let summary = try tokenize(threads: 2)
        #expect(summary.marksInText == 4000)
        #expect(try tokens("train") == [0] + summary.tokenizer.encode(text))
    }

    /// Identity of data: shards say which tokenizer they are of.
    @Test func shardsNameTheTokenizer() throws {
        try inputs.write("a.txt", Array(String(repeating: "text and more text\n", count: 1000).utf8))
        let summary = try tokenize(fraction: 0.3)
        let identity = try summary.tokenizer.identity()
        for prefix in ["train", "val"] {
            let stream = try TokenStream(glob: outputs.folder.appending("\(prefix)_*.bin"))
            #expect(stream.shards.map(\.tokenizer) == [identity])
        }
    }
}
