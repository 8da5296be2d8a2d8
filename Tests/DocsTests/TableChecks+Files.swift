import Basics
import Foundation
import TestSupport
import Testing
import TokenData

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
            #expect(Set(named).subtracting(always) == ["val_loss", "val_ppl"])
            #expect(fields.map { $0["val_loss"] != nil } == [false, false, true, false, false, true])
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
            #expect(Set(table.rows.flatMap { Pages.code(in: $0[0]) }) == Set(state.keys))
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
    ]

    /// What a shard of three tokens says about itself.
    private static func shardHeader(vocabulary: Int) throws -> (magic: Int, version: Int, width: Int) {
        let folder = try Program.home.get() + "/shards-\(vocabulary)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let writer = TokenShardWriter(directory: folder, prefix: "train", vocabularySize: vocabulary)
        try writer.append([1, 2, Int32(vocabulary - 1)].span)
        _ = try writer.publish()
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/train_000000.bin")))
        func word(_ index: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[4 * index + $1]) << (8 * $1) } }
        #expect(word(2) == 3)
        return (word(0), word(1), (bytes.count - 1024) / 3)
    }
}
