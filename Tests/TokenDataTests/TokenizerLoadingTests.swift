import Basics
import Foundation
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
        let path = FilePath(try directory.write("tokenizer.json", tokenizer.tokenizerJSON()))
        for source in [path, directory.folder] {
            let loaded = try Tokenizer(path: source)
            #expect(loaded.tokenizerJSON() == tokenizer.tokenizerJSON())
            #expect(loaded.endOfTextID == 0)
            #expect(loaded.addedTokens == tokenizer.addedTokens)
            #expect(loaded.encode(TokenizerGoldens.text) == tokenizer.encode(TokenizerGoldens.text))
        }
    }

    @Test func vocabularyAndMergesFilesWork() throws {
        try directory.write("vocab.json", tokenizer.vocabularyFile())
        try directory.write("merges.txt", tokenizer.mergesText())
        let loaded = try Tokenizer(path: directory.folder)
        #expect(loaded.tokenizerJSON() == tokenizer.tokenizerJSON())
        try directory.write("merges.txt", Array("a\n".utf8))
        let error = #expect(throws: ExitError.self) { try Tokenizer(path: directory.folder) }
        #expect(error?.description.contains("merges.txt' line 1") == true)
    }

    /// A small tokenizer.json with replaceable parts; old files have merges as strings and fewer keys.
    private func file(
        merges: String = #"["a b", "ab c"]"#, extra: String = #""ab": 256, "abc": 257"#, added: String = "[]",
        splitter: String = #"{"type": "ByteLevel", "add_prefix_space": false}"#, normalizer: String = "null",
        model: String = "", more: String = ""
    ) -> String {
        let all = TokenizerGoldens.json.split(separator: "\n").map { $0.trimmingPrefix(while: { $0 == " " }) }
        let start = all.firstIndex { $0.hasPrefix("\"!\":") }!
        let bytes = all[start..<start + 256].enumerated().map { index, line in
            "\(line[..<line.lastIndex(of: ":")!]): \(index)"
        }
        return """
            {\(more)"added_tokens": \(added), "normalizer": \(normalizer), "pre_tokenizer": \(splitter),
             "model": {\(model) "vocab": {\(bytes.joined(separator: ", ")), \(extra)}, "merges": \(merges)}}
            """
    }

    private func load(_ text: String) throws -> Tokenizer {
        try Tokenizer(path: FilePath(directory.write("tokenizer.json", Array(text.utf8))))
    }

    @Test func bothFormsOfMergesWork() throws {
        for merges in [#"["a b", "ab c"]"#, #"[["a", "b"], ["ab", "c"]]"#, #"["a\u0020b",["\u0061b", "c"]]"#] {
            #expect(try load(file(merges: merges)).encode("abc ab") == [257, 220, 256])
        }
        #expect(try load(file()).endOfTextID == nil)
    }

    private func spelledOut(_ behavior: String = #""behavior": "Isolated", "invert": false"#) -> String {
        #"""
        {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex":
        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"}, \#(behavior)},
        {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]}
        """#
    }

    @Test func spelledOutSplitPatternWorks() throws {
        #expect(try load(file(splitter: spelledOut())).encode("abc") == [257])
    }

    /// S8: parts that would change ids are refused by name; those that change none are taken.
    @Test func nothingIsIgnored() throws {
        let cases: [(String, String)] = [
            (file(more: #""truncation": {"max_length": 2},"#), "has truncation"),
            (file(more: #""padding": {"strategy": {"Fixed": 10}},"#), "has padding"),
            (file(more: #""post_processor": {"type": "RobertaProcessing"},"#), "post_processor RobertaProcessing"),
            (
                file(
                    more:
                        #""post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, "#
                        + #"{"Sequence": {"id": "A"}}]},"#), "post_processor TemplateProcessing"
            ),
            (
                file(
                    more: #""post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel"}, "#
                        + #"{"type": "BertProcessing"}]},"#), "post_processor Sequence"
            ),
            (file(more: #""decoder": {"type": "WordPiece"},"#), "decoder WordPiece"),
            (file(splitter: spelledOut(#""behavior": "Removed", "invert": false"#)), "Removed"),
            (file(splitter: spelledOut(#""behavior": "Contiguous", "invert": false"#)), "Contiguous"),
            (file(splitter: spelledOut(#""behavior": "MergedWithNext", "invert": false"#)), "MergedWithNext"),
            (file(splitter: spelledOut(#""behavior": "Isolated", "invert": true"#)), "invert"),
            (file(splitter: spelledOut(#""invert": false"#)), "behavior"),
            (file(added: #"[{"id": 258, "content": "x", "lstrip": true}]"#), "lstrip"),
            (file(added: #"[{"id": 258, "content": "x", "rstrip": true}]"#), "rstrip"),
            (file(added: #"[{"id": 258, "content": "x", "single_word": true}]"#), "single_word"),
            // Hugging Face numbers them itself.
            (file(added: #"[{"id": 300, "content": "x"}]"#.replacing("x", with: "<x>")), "take 258"),
            (file(added: #"[{"id": 259, "content": "<x>"}, {"id": 258, "content": "<y>"}]"#), "take 258"),
        ]
        for (text, reason) in cases {
            let error = #expect(throws: ExitError.self, "\(reason)") { try load(text) }
            #expect(error?.exitCode == 65)
            #expect(error?.description.contains(reason) == true, "\(reason): \(String(describing: error))")
        }
        for more in [
            #""truncation": null, "padding": null, "post_processor": null, "decoder": null,"#,
            #""post_processor": {"type": "ByteLevel", "trim_offsets": false}, "decoder": {"type": "ByteLevel"},"#,
            #""post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}]},"#,
            #""post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel"}]},"#,
        ] {
            #expect(try load(file(more: more)).encode("abc ab") == [257, 220, 256])
        }
    }

    /// S8: what transformers would read beside the tokenizer must be in it already.
    @Test func filesBesideAreNotIgnored() throws {
        try directory.write("tokenizer.json", tokenizer.tokenizerJSON())
        let names = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"]
        func check(_ name: String, _ text: String) throws {
            for name in names { try? FileManager.default.removeItem(atPath: directory.path + "/" + name) }
            try directory.write(name, text.utf8)
            _ = try Tokenizer(path: directory.folder)
        }
        let (config, map, added) = (names[0], names[1], names[2])
        for (name, text) in [
            (config, #"{"add_prefix_space": false, "model_max_length": 1024, "pad_token": null}"#),
            (config, #"{"bos_token": "<|endoftext|>", "eos_token": {"content": "<|endoftext|>", "lstrip": false}}"#),
            (config, #"{"added_tokens_decoder": {"0": {"content": "<|endoftext|>"}}, "extra_special_tokens": {}}"#),
            (map, #"{"pad_token": "<|endoftext|>", "additional_special_tokens": ["<|endoftext|>"]}"#), (map, "{}"),
            (added, "{}"), (added, #"{"<|endoftext|>": 0}"#),
        ] { try check(name, text) }
        for (name, text, reason) in [
            (config, #"{"add_prefix_space": true}"#, "add_prefix_space"),
            (config, #"{"add_bos_token": true}"#, "add_bos_token"),
            (config, #"{"add_eos_token": true}"#, "add_eos_token"),
            (
                config, #"{"added_tokens_decoder": {"262": {"content": "<pad>"}}}"#,
                "'<pad>' (added_tokens_decoder, id 262)"
            ),
            (config, #"{"added_tokens_decoder": {"7": {"content": "<|endoftext|>"}}}"#, "id 7"),
            (config, #"{"mask_token": {"content": "<|endoftext|>", "lstrip": true}}"#, "lstrip"),
            (config, #"{"pad_token": 3}"#, "no token"), (config, "{,}", "not valid JSON"),
            (map, #"{"pad_token": "<pad>"}"#, "'<pad>' (pad_token)"),
            (map, #"{"additional_special_tokens": ["<|endoftext|>", "<a>"]}"#, "'<a>'"),
            (added, #"{"<pad>": 262}"#, "'<pad>' (added_tokens.json, id 262)"),
            (added, #"{"<|endoftext|>": 1}"#, "id 1"),
        ] {
            let error = #expect(throws: ExitError.self, "\(text)") { try check(name, text) }
            #expect(error?.exitCode == 65)
            for part in [reason, directory.path + "/" + name] {
                #expect(error?.description.contains(part) == true, "\(part): \(String(describing: error))")
            }
        }
        // Beside vocab.json and merges.txt too.
        try FileManager.default.removeItem(atPath: directory.path + "/tokenizer.json")
        try directory.write("vocab.json", tokenizer.vocabularyFile())
        try directory.write("merges.txt", tokenizer.mergesText())
        try check(added, #"{"<|endoftext|>": 0}"#)
        #expect(throws: ExitError.self) { try check(added, #"{"<pad>": 262}"#) }
    }

    /// W1: the file that is wrong is the one that is named.
    @Test func mistakesOfMergesAreThoseOfTheirFile() throws {
        try directory.write("vocab.json", tokenizer.vocabularyFile())
        for (text, reason) in [
            ([0xEF, 0xBB, 0xBF] + tokenizer.mergesText(), "byte-order mark"), (Array("a zz\n".utf8), "lacks"),
            (Array("a\n".utf8), "line 1 is not two tokens"),
            (tokenizer.mergesText() + tokenizer.mergesText(), "has merge 5"),
        ] as [([UInt8], String)] {
            try directory.write("merges.txt", text)
            let error = #expect(throws: ExitError.self) { try Tokenizer(path: directory.folder) }
            #expect(error?.description.contains("merges.txt'") == true, "\(String(describing: error))")
            #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
        }
    }

    /// Every number that an id can be: an error with its place, never a trap.
    @Test(arguments: ["-1", "2147483647", "2147483648", "4611686018427387904", "9223372036854775807", "16777216"])
    func idsOutOfRangeAreErrors(id: String) throws {
        for text in [
            file(extra: #""ab": \#(id), "abc": 257"#), file(added: #"[{"id": \#(id), "content": "<x>"}]"#),
        ] {
            let error = #expect(throws: ExitError.self, "\(id)") { try load(text) }
            #expect(error?.exitCode == 65)
        }
        // 0 is taken by a byte.
        #expect(throws: ExitError.self) { try load(file(extra: #""ab": 0, "abc": 257"#)) }
    }

    @Test func addedTokensAreMatchedAsWholes() throws {
        let added = #"""
            [{"id": 258, "content": "<|endoftext|>", "special": true}, {"id": 259, "content": "a b", "special": false},
             {"id": 260, "content": "a b c", "special": false}, {"id": 261, "content": "é ", "special": true}]
            """#
        let loaded = try load(file(added: added))
        #expect(loaded.vocabularySize == 262)
        #expect(loaded.endOfTextID == 258)
        #expect(loaded.encode("ab a b c<|endoftext|>") == [256, 220, 260, 258])
        #expect(loaded.encode("a b<|") == [259, 27, 91])
        #expect(loaded.decodeString([261, 258]) == "é <|endoftext|>")
        #expect(try load(String(decoding: loaded.tokenizerJSON(), as: UTF8.self)).identity() == loaded.identity())
        // Those that are not normalized are looked for first, as Hugging Face does.
        let groups = #"""
            [{"id": 258, "content": "<x>", "special": true}, {"id": 259, "content": "a<", "special": false},
             {"id": 260, "content": "b<", "special": false, "normalized": false}]
            """#
        #expect(try load(file(added: groups)).encode("a<x>a<b<x>") == [64, 258, 259, 260, 87, 29])
    }

    @Test func brokenFilesAreErrors() throws {
        let cases: [(String, String)] = [
            (file(merges: #"["a x y"]"#), "merge 0"), (file(merges: #"["a z"]"#), "vocabulary lacks"),
            (file(merges: #"["a b", "a b"]"#), "twice"), (file(merges: "[1]"), "merge 0"),
            (file(merges: #"[["a", "b", "c"]]"#), "merge 0"), (file(merges: "{}"), "without"),
            (file(extra: #""ab": 256, "ab": 257"#), "second time"), (file(extra: #""ab": 255"#), "two tokens"),
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
            (file(model: #""vocab": {},"#), "\"vocab\" for the second time"),
            (file(added: #"[{"id": 5, "content": "x"}]"#), "contradicts"),
            (file(added: #"[{"content": "x"}]"#), "usable id"),
            (file(added: #"[{"id": 300, "content": ""}]"#), "empty"),
            (file(added: #"[{"id": 300, "content": "x", "lstrip": true}]"#), "lstrip"),
            (file().replacing(#""!": 0,"#, with: ""), "byte 33"), ("{}", "\"model\""), ("[]", "\"model\""),
            // The JSON itself: Basics has the tests.
            ("", "not valid JSON"), ("[1,]", "at byte"), ("[\"\\ud800\"]", "at byte"),
            ("\u{FEFF}{}", "byte-order mark"),
            (String(repeating: "[", count: 1_000_000), "nested deeper"),
        ]
        for (text, reason) in cases {
            let error = #expect(throws: ExitError.self, "\(text.suffix(80))") { try load(text) }
            #expect(error?.exitCode == 65)
            #expect(error?.description.contains(reason) == true, "\(reason): \(String(describing: error))")
            #expect(error?.description.contains("\n") == false)
        }
        let path = try directory.write("tokenizer.json", [0x22, 0xFF, 0x22])
        #expect(throws: ExitError.self) { try Tokenizer(path: FilePath(path)) }
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
            let loaded = try? Tokenizer(path: FilePath(directory.write("tokenizer.json", bytes)))
            _ = loaded?.encode("abc ab <|endoftext|> \u{E9}")
        }
    }

    @Test func missingFilesAreNamed() throws {
        for path in [directory.path + "/none", directory.path] {
            let error = #expect(throws: (any Error).self) { try Tokenizer(path: FilePath(path)) }
            #expect(error.map { exitCode(of: $0) } == 66)
            #expect(error.map { "\($0)".contains(path) } == true)
        }
    }
}
