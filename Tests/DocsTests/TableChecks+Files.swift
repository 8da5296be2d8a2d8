import Basics
import Foundation
import TestSupport
import Testing
import TokenData
import Training

// Tables about files: what a run writes, field by field.

extension TableChecks {
    static let files: [String: Check] = [
        "docs/files.md › metrics.jsonl › field | meaning": { table in
            let lines = try String(contentsOfFile: Program.run.get() + "/metrics.jsonl", encoding: .utf8)
                .split(separator: "\n")
            let fields = try lines.map { line in
                try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            }
            let named = table.rows.flatMap { Pages.code(in: $0[0]) }
            #expect(Set(named) == fields.reduce(into: Set()) { $0.formUnion($1.keys) })
            #expect(named.count == Set(named).count)
            // Only the fields of an evaluation may be missing.
            let always = Set(fields[0].keys)
            #expect(Set(named).subtracting(always) == ["val_loss", "val_ppl", "val_bpb"])
            #expect(fields.map { $0["val_loss"] != nil } == [false, false, true, false, false, true])
        },
        "docs/files.md › TensorBoard › tag | number": { table in
            let run = try FilePath(Program.run.get())
            var found: [Set<String>] = []
            for name in try LocalFileSystem().names(in: run) where name.string.contains("tfevents") {
                try RecordedEvent.forEach(in: run.appending(name)) { event, _ in
                    found.append(Set(event.values.map(\.tag)))
                }
            }
            let tags = table.rows.flatMap { Pages.code(in: $0[0]) }
            #expect(
                tags.count == Set(tags).count
                    && Set(tags) == Set(EventScalar.allCases.map(\.rawValue) + ["config", "samples"]))
            // Three are of runs with an option.
            let others: Set = ["optimizer/muon_learning_rate", "data/sequence_length", "samples"]
            #expect(found.reduce(into: []) { $0.formUnion($1) } == Set(tags).subtracting(others))
            // A row names the fields of metrics.jsonl that its tags are made of.
            let fields = try metricsFields()
            let named = table.rows.flatMap { Pages.code(in: $0[1]) }.filter { !$0.contains(".") && !$0.hasPrefix("--") }
            #expect(Set(named).subtracting(["muon_lr", "sequence_length"]).isSubset(of: fields))
        },
        "docs/files.md › starts.jsonl › member | meaning": { table in
            let lines = try String(contentsOfFile: Program.run.get() + "/starts.jsonl", encoding: .utf8)
                .split(separator: "\n")
            let members = try lines.map { line in
                try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            }
            #expect(members.map { $0["outcome"] as? String } == [nil, "finished"])
            // A whole run has no reason to fail.
            let named = Set(table.rows.flatMap { row in row[0].matches(of: /`([a-z]+)`/).map { String($0.1) } })
            #expect(named == members.reduce(into: ["reason"]) { $0.formUnion($1.keys) })
        },
        "docs/files.md › Checkpoint › file | holds": { table in
            let folder = try Program.run.get() + "/checkpoints/step-00000006"
            let present = try FileManager.default.contentsOfDirectory(atPath: folder)
            #expect(Set(table.rows.flatMap { Pages.code(in: $0[0]) }) == Set(present))
        },
        "docs/files.md › Checkpoint › member | meaning": { table in
            let path = try Program.run.get() + "/checkpoints/step-00000006/trainer_state.json"
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            let state = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
            // What a stop during an evaluation leaves is the one member that a whole run has not.
            let named = Set(table.rows.flatMap { Pages.code(in: $0[0]) })
            #expect(named == Set(state.keys).union(["unevaluated_step"]))
        },
        "docs/files.md › Token shards ›  | magic | version | a token": { table in
            #expect(table.rows.count == 2)
            for (row, sizes) in zip(table.rows, [[300, 65_536], [65_537, 100_000]]) {
                for vocabulary in sizes {
                    let header = try shardHeader(vocabulary: vocabulary)
                    #expect(row[1] == "\(header.magic)" && row[2] == "\(header.version)", "\(vocabulary): \(header)")
                    #expect(row[3] == "uint\(8 * header.width)", "\(vocabulary): \(header)")
                }
            }
        },
        "docs/files.md › Token shards › bytes | hold": { table in
            let identity = TokenizerIdentity(digest: String(repeating: "9a", count: 32), vocabularySize: 0x1234)
            let bytes = try shard(vocabulary: 0x1234, tokenizer: identity)
            var rest = Array(bytes[12..<1024])
            for row in table.rows {
                let ends = row[0].split(separator: " ").compactMap { Int($0) }
                let range = ends[0]..<ends[1] + 1
                let number = bytes[range].prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
                switch row[1] {
                case let text where text.contains("letters"):
                    #expect(Pages.code(in: text) == [String(decoding: bytes[range], as: UTF8.self)])
                case let text where text.contains("version"): #expect(text.hasPrefix("\(number),") && range.count == 4)
                case let text where text.contains("size"): #expect(number == 0x1234 && range.count == 4)
                default: #expect(Array(bytes[range]) == [UInt8](repeating: 0x9A, count: 32), "\(row)")
                }
                for place in range { rest[place - 12] = 0 }
            }
            #expect(rest.allSatisfy { $0 == 0 })
        },
    ]

    /// The fields of the run's metrics.jsonl.
    private static func metricsFields() throws -> Set<String> {
        let text = try String(contentsOfFile: Program.run.get() + "/metrics.jsonl", encoding: .utf8)
        return try text.split(separator: "\n").reduce(into: []) { fields, line in
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            fields.formUnion((object ?? [:]).keys)
        }
    }

    /// A shard of three tokens.
    private static func shard(vocabulary: Int, tokenizer: TokenizerIdentity? = nil) throws -> [UInt8] {
        let folder = FilePath(try Program.home.get()).appending("shards-\(vocabulary)")
        try LocalFileSystem().makeDirectories(folder)
        let writer = TokenShardWriter(
            directory: folder, prefix: "train", vocabularySize: vocabulary, tokenizer: tokenizer)
        let tokens = [1, 2, Int32(vocabulary - 1)]
        try writer.append(tokens.span)
        let path = try writer.publish()[0]
        return try InputFile(path).contents(limit: 1 << 20)
    }

    /// What it says about itself.
    private static func shardHeader(vocabulary: Int) throws -> (magic: Int, version: Int, width: Int) {
        let bytes = try shard(vocabulary: vocabulary)
        func word(_ index: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[4 * index + $1]) << (8 * $1) } }
        #expect(word(2) == 3)
        return (word(0), word(1), (bytes.count - 1024) / 3)
    }
}
