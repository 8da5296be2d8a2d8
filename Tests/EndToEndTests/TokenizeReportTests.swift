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
            let outcome = try workspace.run([
                "tokenize", "--input", workspace.file("text"), "--output", workspace.file("out"), "--vocab-size", "280",
                "--val-fraction", "0.25",
            ])
            #expect(outcome.status == 0, "\(outcome)")
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
    }
}
