import Basics
import Testing
import TokenData

/// Which tokenizer ids are of: the same whatever the file looks like, another for whatever changes ids.
@Suite struct TokenizerIdentityTests {
    private let directory: TemporaryDirectory
    private let tokenizer: Tokenizer

    init() throws {
        directory = try TemporaryDirectory()
        tokenizer = try Self.trained(280)
    }

    private static func trained(_ size: Int) throws -> Tokenizer {
        var words = WordCounts()
        words.add(TokenizerGoldens.text)
        return try BPETrainer(vocabularySize: size).train(words)
    }

    private func load(_ text: String) throws -> TokenizerIdentity {
        try Tokenizer(path: FilePath(directory.write("tokenizer.json", text.utf8))).identity()
    }

    @Test func theSameTokenizerInAnyFile() throws {
        let identity = try tokenizer.identity()
        #expect(identity.vocabularySize == 280 && identity.digest.count == 64)
        #expect(try Self.trained(280).identity() == identity)
        try directory.write("vocab.json", tokenizer.vocabularyFile())
        try directory.write("merges.txt", tokenizer.mergesText())
        #expect(try Tokenizer(path: directory.folder).identity() == identity)
        let json = String(decoding: tokenizer.tokenizerJSON(), as: UTF8.self)
        #expect(try load(json) == identity)
        // Layout, notes on decoding, and flags that change no id.
        #expect(
            try load(json.split(separator: "\n").map { $0.trimmingPrefix(while: { $0 == " " }) }.joined()) == identity)
        #expect(try load(json.replacing(#""special": true"#, with: #""special": false"#)) == identity)
        #expect(try load(json.replacing(#""normalized": false"#, with: #""normalized": true"#)) == identity)
        #expect(try load(json.replacing(#""trim_offsets": false"#, with: #""trim_offsets": true"#)) == identity)
    }

    @Test func whateverChangesIdsChangesIt() throws {
        let identity = try tokenizer.identity()
        #expect(try Self.trained(279).identity() != identity)
        #expect(try Self.trained(281).identity() != identity)
        let json = String(decoding: tokenizer.tokenizerJSON(), as: UTF8.self)
        // Two merges in another order.
        let lines = json.split(separator: "\n", omittingEmptySubsequences: false)
        let merges = try #require(lines.firstIndex { $0.contains("\"merges\"") })
        var swapped = lines
        swapped.replaceSubrange(
            merges + 1..<merges + 9, with: lines[merges + 5..<merges + 9] + lines[merges + 1..<merges + 5])
        #expect(try load(swapped.joined(separator: "\n")) != identity)
        // Two tokens with each other's ids.
        let ids = json.replacing(#""!": 1,"#, with: #""!": 2,"#).replacing(#""\"": 2,"#, with: #""\"": 1,"#)
        #expect(ids != json)
        #expect(try load(ids) != identity)
        // No added token, and one more.
        let start = try #require(json.firstRange(of: "\"added_tokens\": ["))
        let end = try #require(json.firstRange(of: "],"))
        #expect(try load(String(json[..<start.upperBound] + json[end.lowerBound...])) != identity)
        let more = #","# + #"{"id": 280, "content": "<x>", "special": true}"#
        #expect(try load(String(json[..<end.lowerBound] + more + json[end.lowerBound...])) != identity)
    }

    @Test("S4: a difference is an error that names both") func differencesAreNamed() throws {
        let (one, other) = (try tokenizer.identity(), try Self.trained(279).identity())
        let origins: [TokenizerIdentity.Origin] = [
            .init("--train-data", nil), .init("'a/tokenizer.json'", one), .init("the checkpoint", one),
            .init("--val-data", other),
        ]
        let error = #expect(throws: ExitError.self) {
            try TokenizerIdentity.requireSame(origins, allowOther: false)
        }
        #expect(error?.exitCode == 65)
        for part in ["'a/tokenizer.json'", one.shown, "--val-data", other.shown, "--allow-other-tokenizer"] {
            #expect(error?.description.contains(part) == true, "\(part): \(String(describing: error))")
        }
        let lines = try TokenizerIdentity.requireSame(origins, allowOther: true)
        #expect(lines.count == 2)
        #expect(lines[0].hasPrefix("--train-data does not say which tokenizer"))
        #expect(lines[1].contains(other.shown))
        #expect(try TokenizerIdentity.requireSame(Array(origins[1...2]), allowOther: false) == [])
        #expect(try TokenizerIdentity.requireSame([.init("a", nil), .init("b", nil)], allowOther: false) == [])
    }

    private func shard(_ name: String, _ identity: TokenizerIdentity?, in folder: String = "") throws -> FilePath {
        let folder = folder.isEmpty ? directory.folder : directory.folder.appending(folder)
        try LocalFileSystem().makeDirectories(folder)
        let writer = TokenShardWriter(directory: folder, prefix: name, vocabularySize: 300, tokenizer: identity)
        let tokens: [Int32] = [1, 2, 3]
        try writer.append(tokens.span)
        return try writer.publish()[0]
    }

    @Test("S4: shards, and the tokenizer beside them") func streamsKnowTheirTokenizer() throws {
        let (one, other) = (try tokenizer.identity(), try Self.trained(279).identity())
        let first = try shard("a", one)
        let second = try shard("b", other)
        let unknown = try shard("c", nil)
        #expect(try TokenStream(paths: [unknown]).tokenizer("--data", allowOther: false).identity == nil)
        #expect(try TokenStream(paths: [unknown, first]).tokenizer("--data", allowOther: false).identity == one)
        let mixed = try TokenStream(paths: [first, second])
        let error = #expect(throws: ExitError.self) { try mixed.tokenizer("--data", allowOther: false) }
        #expect(error?.exitCode == 65)
        for path in [first, second] { #expect(error?.description.contains("'\(path)'") == true) }
        #expect(try mixed.tokenizer("--data", allowOther: true).identity == one)

        // Shards that do not say take the word of the file beside them; those that do must agree with it.
        try directory.write("other/tokenizer.json", Self.trained(279).tokenizerJSON())
        let beside = try shard("c", nil, in: "other")
        #expect(try TokenStream(paths: [beside]).tokenizer("--data", allowOther: false).identity == other)
        let contradicted = try TokenStream(paths: [shard("a", one, in: "other")])
        let contradiction = #expect(throws: ExitError.self) {
            try contradicted.tokenizer("--data", allowOther: false)
        }
        #expect(contradiction?.description.contains("the tokenizer in '") == true)
    }
}
