import Basics
import Testing
import TokenData

/// Tokenizer files: every form that users have, and every way in which one can be broken.
@Suite struct TokenizerLoadingTests {
    private let directory: TemporaryDirectory
    private let tokenizer: Tokenizer

    init() throws {
        directory = try TemporaryDirectory()
        var words = WordCounts()
        words.add(TokenizerGoldens.text)
        tokenizer = try BPETrainer(vocabularySize: 262).train(words)
    }

    @Test func aWrittenFileReadsBackAsTheSame() throws {
        let path = try directory.write("tokenizer.json", tokenizer.tokenizerJSON())
        for source in [path, directory.path] {
            let loaded = try Tokenizer(path: source)
            #expect(loaded.tokenizerJSON() == tokenizer.tokenizerJSON())
            #expect(loaded.identity == tokenizer.identity)
            #expect(loaded.endOfTextID == 0)
            #expect(loaded.addedTokens == tokenizer.addedTokens)
            #expect(loaded.encode(TokenizerGoldens.text) == tokenizer.encode(TokenizerGoldens.text))
        }
    }

    @Test func vocabularyAndMergesFilesWork() throws {
        try directory.write("vocab.json", tokenizer.vocabularyJSON())
        try directory.write("merges.txt", tokenizer.mergesText())
        let loaded = try Tokenizer(path: directory.path)
        #expect(loaded.tokenizerJSON() == tokenizer.tokenizerJSON())
        try directory.write("merges.txt", Array("a\n".utf8))
        let error = #expect(throws: TokenDataError.self) { try Tokenizer(path: directory.path) }
        #expect(error?.description.contains("merges.txt' line 1") == true)
    }

    /// A small tokenizer.json with replaceable parts; old files have merges as strings and fewer keys.
    private func file(
        merges: String = #"["a b", "ab c"]"#, extra: String = #""ab": 256, "abc": 257"#, added: String = "[]",
        splitter: String = #"{"type": "ByteLevel", "add_prefix_space": false}"#, normalizer: String = "null",
        model: String = ""
    ) -> String {
        let all = TokenizerGoldens.json.split(separator: "\n").map { $0.trimmingPrefix(while: { $0 == " " }) }
        let start = all.firstIndex { $0.hasPrefix("\"!\":") }!
        let bytes = all[start..<start + 256].enumerated().map { index, line in
            "\(line[..<line.lastIndex(of: ":")!]): \(index)"
        }
        return """
            {"added_tokens": \(added), "normalizer": \(normalizer), "pre_tokenizer": \(splitter),
             "model": {\(model) "vocab": {\(bytes.joined(separator: ", ")), \(extra)}, "merges": \(merges)}}
            """
    }

    private func load(_ text: String) throws -> Tokenizer {
        try Tokenizer(path: directory.write("tokenizer.json", Array(text.utf8)))
    }

    @Test func bothFormsOfMergesWork() throws {
        for merges in [#"["a b", "ab c"]"#, #"[["a", "b"], ["ab", "c"]]"#, #"["a\u0020b",["\u0061b", "c"]]"#] {
            #expect(try load(file(merges: merges)).encode("abc ab") == [257, 220, 256])
        }
        #expect(try load(file()).endOfTextID == nil)
    }

    @Test func spelledOutSplitPatternWorks() throws {
        let splitter = #"""
            {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex":
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},
            "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]}
            """#
        #expect(try load(file(splitter: splitter)).encode("abc") == [257])
    }

    @Test func addedTokensAreMatchedAsWholes() throws {
        let added = #"""
            [{"id": 258, "content": "<|endoftext|>", "special": true}, {"id": 259, "content": "a b", "special": false},
             {"id": 260, "content": "a b c", "special": false}, {"id": 261, "content": "é ", "special": true}]
            """#
        let loaded = try load(file(added: added))
        #expect(loaded.vocabularySize == 262)
        #expect(loaded.endOfTextID == 258)
        #expect(loaded.encode("ab a b c<|endoftext|>", allowSpecial: true) == [256, 220, 260, 258])
        #expect(loaded.encode("a b<|") == [259, 27, 91])
        #expect(loaded.decodeString([261, 258]) == "é <|endoftext|>")
        #expect(try load(String(decoding: loaded.tokenizerJSON(), as: UTF8.self)).identity == loaded.identity)
    }

    @Test func brokenFilesAreErrors() throws {
        let cases: [(String, String)] = [
            (file(merges: #"["a x y"]"#), "merge 0"), (file(merges: #"["a z"]"#), "vocabulary lacks"),
            (file(merges: #"["a b", "a b"]"#), "twice"), (file(merges: "[1]"), "merge 0"),
            (file(merges: #"[["a", "b", "c"]]"#), "merge 0"), (file(merges: "{}"), "without"),
            (file(extra: #""ab": 256, "ab": 257"#), "twice"), (file(extra: #""ab": 255"#), "two tokens"),
            (file(extra: #""ab": -1"#), "whole-number"), (file(extra: #""ab": 2.0"#), "whole-number"),
            (file(extra: #""ab": 1e9"#), "whole-number"), (file(extra: #""ab": 99999999999999999999"#), "whole-number"),
            (file(extra: #""ab": 16000000"#), "16000000"), (file(extra: #""": 256"#), "empty token"),
            (file(splitter: "null"), "pre_tokenizer"), (file(splitter: #"{"type": "Whitespace"}"#), "Whitespace"),
            (file(splitter: #"{"type": "ByteLevel"}"#), "add_prefix_space"),
            (file(splitter: #"{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}"#), "pattern"),
            (file(splitter: #"{"type": "Sequence", "pretokenizers": []}"#), "Sequence"),
            (file(normalizer: #"{"type": "NFC"}"#), "NFC"), (file(model: #""type": "Unigram","#), "Unigram"),
            (file(model: #""dropout": 0.1,"#), "dropout"), (file(model: #""ignore_merges": true,"#), "ignore_merges"),
            (file(model: #""end_of_word_suffix": "</w>","#), "end_of_word_suffix"),
            (file(model: #""vocab": {},"#), "\"vocab\" twice"),
            (file(added: #"[{"id": 5, "content": "x"}]"#), "contradicts"),
            (file(added: #"[{"content": "x"}]"#), "usable id"),
            (file(added: #"[{"id": 300, "content": ""}]"#), "empty"),
            (file(added: #"[{"id": 300, "content": "x", "lstrip": true}]"#), "lstrip"),
            (file().replacing(#""!": 0,"#, with: ""), "byte 33"), ("{}", "\"model\""), ("[]", "\"model\""),
            ("", "expected a value"), ("{\"a\": 1,}", "expected a key"), ("[1,]", "expected a value"),
            ("{\"a\" 1}", "expected ':'"), ("[1 2]", "expected ','"), ("[1", "expected ','"), ("{} x", "after its end"),
            ("\u{FEFF}{}", "expected a value"), ("// no\n{}", "expected a value"), ("[NaN]", "expected a value"),
            ("[01]", "expected ','"), ("[1.]", "expected a digit"), ("[\"\\ud800\"]", "surrogate"),
            ("[\"\\udc00\"]", "surrogate"), ("[\"\\x\"]", "escape"), ("[\"a", "inside a string"),
            ("[\"\u{1}\"]", "control character"), (String(repeating: "[", count: 1_000_000), "nested deeper"),
        ]
        for (text, reason) in cases {
            let error = #expect(throws: TokenDataError.self, "\(text.suffix(80))") { try load(text) }
            #expect(error?.exitCode == 65)
            #expect(error?.description.contains(reason) == true, "\(reason): \(String(describing: error))")
            #expect(error?.description.contains("\n") == false)
        }
        let path = try directory.write("tokenizer.json", [0x22, 0xFF, 0x22])
        #expect(throws: TokenDataError.self) { try Tokenizer(path: path) }
    }

    /// No file of random damage may trap.
    @Test func damagedFilesNeverTrap() throws {
        let whole = Array(file(added: #"[{"id": 258, "content": "<|endoftext|>", "special": true}]"#).utf8)
        var random = SeededGenerator(state: 5)
        for _ in 0..<1500 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1..<4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                default: bytes.insert(Array("{}[]\",:\\0-".utf8).randomElement(using: &random)!, at: place)
                }
            }
            let loaded = try? Tokenizer(path: directory.write("tokenizer.json", bytes))
            _ = loaded?.encode("abc ab <|endoftext|> \u{E9}", allowSpecial: true)
        }
    }

    @Test func missingFilesAreNamed() throws {
        for path in [directory.path + "/none", directory.path] {
            let error = #expect(throws: TokenDataError.self) { try Tokenizer(path: path) }
            #expect(error?.exitCode == 66)
            #expect(error?.description.contains(path) == true)
        }
    }
}
