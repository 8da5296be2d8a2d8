import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What `tokenize` says that it made, against what it made.
    @Suite(.serialized) struct TokenizeReportTests {
        @Test func theReportCountsWhatIsThere() throws {
            let workspace = try Workspace()
            for (name, part) in [("a.txt", Workspace.text), ("b.txt", String(Workspace.text.prefix(9999)))] {
                try workspace.write("text/" + name, part.utf8)
            }
            try workspace.write("text/empty.txt", "".utf8)
            try workspace.write("text/packed.gz", [0x1F, 0x8B, 0x08, 0x00])
            let start = ContinuousClock.now
            let outcome = try workspace.run([
                "tokenize", "--input", workspace.file("text"), "--output", workspace.file("out"), "--vocab-size", "280",
                "--val-fraction", "0.25",
            ])
            let whole = (ContinuousClock.now - start) / .seconds(1)
            #expect(outcome.status == 0, "\(outcome)")
            // Of the program alone, and so never more than with its start and its end.
            let time = outcome.standardOutput.firstMatch(of: /\ntime        (\d+\.\d\d) s\n/)?.1
            #expect(try #require(Double(time ?? "none")) <= whole + 0.005, "\(outcome)")
            func tokens(_ shard: String) throws -> Int {
                let size = try FileManager.default.attributesOfItem(atPath: workspace.file("out/" + shard))[.size]
                return (try #require(size as? Int) - 1024) / 2
            }
            let (train, validation) = (try tokens("train_000000.bin"), try tokens("val_000000.bin"))
            let bytes = Workspace.text.utf8.count + 9999
            #expect(outcome.lines.contains("documents   2, \(bytes) bytes"), "\(outcome)")
            #expect(outcome.lines.contains("vocabulary  280 tokens"), "\(outcome)")
            #expect(outcome.lines.contains { $0.wholeMatch(of: /left out    1 empty, such as .*\/empty.txt/) != nil })
            #expect(outcome.lines.contains { $0.hasPrefix("left out    1 compressed (unpack them first), such as ") })
            let ratio = String(format: "%.2f", Double(bytes) / Double(train + validation))
            #expect(
                outcome.lines.contains("tokens      \(train) train, \(validation) validation, \(ratio) bytes a token"),
                "\(outcome)")
            #expect(outcome.standardOutput.contains("/out/train_*.bin (1), "), "\(outcome)")
            // A quarter of the text, to a few percent.
            #expect(abs(Double(validation) / Double(train + validation) - 0.25) < 0.02, "\(outcome)")
        }

        /// No pair occurs twice, and a twentieth of 17 bytes is none.
        @Test("M: what is not as it was asked for is said, and nothing else")
        func aShortText() throws {
            let workspace = try Workspace()
            let text = try workspace.write("short.txt", "ab<|endoftext|>ac".utf8)
            let out = workspace.file("out")
            func lines(_ output: String, _ more: [String]) throws -> [String] {
                let outcome = try workspace.run(["tokenize", "--input", text, "--output", output] + more)
                #expect(outcome.status == 0, "\(outcome)")
                return outcome.lines.filter { !$0.hasPrefix("time ") }.map(String.init)
            }
            let documents = "documents   1, 17 bytes"
            let short = "vocabulary  257 tokens, not 8192: no pair of tokens occurs twice any more"
            let tokens = "tokens      6 train, 0 validation, 2.83 bytes a token"
            let marks = "marks       1 times <|endoftext|> in the text, taken as that token"
            let none = "validation  none: the text is too short to divide"
            let shards = "shards      \(out)/train_*.bin (1)"
            #expect(
                try lines(out, ["--val-fraction", "0.05"]) == [documents, short, tokens, marks, none, shards])
            let replaced = "replaced    2 files of the corpus that was there"
            #expect(
                try lines(out, ["--val-fraction", "0", "--overwrite", "--vocab-size", "257"])
                    == [documents, "vocabulary  257 tokens", tokens, marks, replaced, shards])
            let given = try lines(workspace.file("again"), ["--tokenizer", out, "--val-fraction", "0"])
            #expect(given[1] == "vocabulary  257 tokens (given)")
        }
    }
}
