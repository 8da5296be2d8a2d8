import Foundation
import SwiftletTokenizer
import TestSupport
import Testing

/// What another package can do with tokenizers and shards, through public declarations alone.
@Suite struct LibraryTokenizerTests {
    private let folder = NSTemporaryDirectory() + "swiftlet-library-" + UUID().uuidString
    private let texts = (0..<200).map { "the \($0)th line of a text, and the next line of it\n" }

    private func clean() { try? FileManager.default.removeItem(atPath: folder) }

    @Test func whatIsEncodedComesBack() throws {
        defer { clean() }
        let tokenizer = try Tokenizer(trainingOn: texts, vocabularySize: 300)
        #expect((258...300).contains(tokenizer.vocabularySize) && tokenizer.endOfTextID == 0)
        let text = "the next line, naïve 日本 🙂"
        let ids = tokenizer.encode(text)
        #expect(tokenizer.decode(ids) == text && ids.count < text.utf8.count)
        #expect(ids.flatMap { tokenizer.bytes(of: $0) } == Array(text.utf8))
        #expect(tokenizer.encode(bytes: [0xFF, 0x41]).flatMap { tokenizer.bytes(of: $0) } == [0xFF, 0x41])
        #expect(tokenizer.encode(Tokenizer.endOfText) == [0])
        #expect(tokenizer.decode([-1, 1 << 20]) == "")
        try tokenizer.write(to: folder)
        #expect(try Tokenizer(path: folder).encode(text) == ids)
        #expect(try Tokenizer(path: folder + "/tokenizer.json").encode(text) == ids)
    }

    @Test func mistakesAreErrorsWithOneLine() throws {
        defer { clean() }
        let tokenizer = try Tokenizer(trainingOn: texts, vocabularySize: 300)
        func expect(_ code: Int32, _ word: String, _ body: () throws -> Void) throws {
            let error = try #require(throws: SwiftletError.self) { try body() }
            #expect(error.exitCode == code && error.description.contains(word) && !error.isShared, "\(error)")
            #expect(!error.description.contains("\n"))
        }
        try expect(64, "256 is out of range") { _ = try Tokenizer(trainingOn: texts, vocabularySize: 256) }
        try expect(66, "none") { _ = try Tokenizer(path: folder + "/none") }
        try expect(66, "no shard matches") { _ = try TokenShards(folder + "/*.bin") }
        try expect(64, "prefix") {
            _ = try TokenShardWriter(folder: folder, prefix: "../a", tokenizer: tokenizer)
        }
        try expect(64, "tokensPerShard is 0") {
            _ = try TokenShardWriter(folder: folder, prefix: "a", tokenizer: tokenizer, tokensPerShard: 0)
        }
        try expect(64, "token id 300 is not of this tokenizer") {
            try TokenShardWriter(folder: folder, prefix: "a", tokenizer: tokenizer).append([1, 300])
        }
        try expect(64, "validationShare is 1.0") {
            _ = try Corpus(tokenizing: [folder], into: folder, validationShare: 1)
        }
    }

    @Test func shardsHoldWhatWasAppended() throws {
        defer { clean() }
        let tokenizer = try Tokenizer(trainingOn: texts, vocabularySize: 300)
        let ids = (0..<1000).map { Int32($0 % 250) }
        let writer = try TokenShardWriter(folder: folder, prefix: "train", tokenizer: tokenizer, tokensPerShard: 300)
        try writer.append(ids)
        #expect(writer.tokenCount == 1000)
        #expect(throws: SwiftletError.self) { try TokenShards(folder + "/train_*.bin") }
        let paths = try writer.finish()
        #expect(paths.map { ($0 as NSString).lastPathComponent } == (0..<4).map { "train_00000\($0).bin" })
        let shards = try TokenShards(folder + "/train_*.bin")
        #expect(shards.tokenCount == 1000)
        #expect(try shards.tokens(0..<1000) == ids)
        #expect(try shards.tokens(295..<310) == Array(ids[295..<310]))
    }

    @Test func aCorpusIsATokenizerAndShards() throws {
        defer { clean() }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try texts.joined().write(toFile: folder + "/text.txt", atomically: true, encoding: .utf8)
        let corpus = try Corpus(tokenizing: [folder + "/text.txt"], into: folder + "/data", vocabularySize: 300)
        #expect(corpus.trainTokens > 0 && corpus.validationTokens > 0 && corpus.trainPaths.count == 1)
        let validation = try TokenShards(corpus.validationPaths[0])
        let ids = try validation.tokens(0..<validation.tokenCount)
        #expect(
            ids.count == corpus.validationTokens && texts.joined().contains(corpus.tokenizer.decode(ids.dropFirst())))
        // A given tokenizer stays, and a corpus that is there gives way only where that is asked for.
        #expect(throws: SwiftletError.self) { try Corpus(tokenizing: [folder + "/text.txt"], into: folder + "/data") }
        let again = try Corpus(
            tokenizing: [folder + "/text.txt"], into: folder + "/data", tokenizer: corpus.tokenizer, overwrites: true)
        #expect(again.trainTokens == corpus.trainTokens)
    }
}
