import Foundation
import TestSupport
import Testing

extension EndToEnd {
    @Suite(.serialized) struct InspectTests {
        /// Changes one bit in the middle of a file.
        private func damage(_ path: String) throws {
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: URL(fileURLWithPath: path))
        }

        @Test("M: inspect ends with 65 when any checkpoint of a run does not verify", arguments: [10, 20])
        func aDamagedRun(step: Int) throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run").status == 0)
            for path in ["run", "run/checkpoints"] {
                let whole = try workspace.run(["inspect", workspace.file(path)])
                #expect(whole.status == 0, "\(whole)")
                #expect(!whole.standardOutput.contains("DOES NOT VERIFY"))
                #expect(whole.lines.filter { $0.contains("  verifies  ") }.count == 3, "\(whole)")
            }
            try damage(workspace.checkpoint("run", step) + "/optimizer.safetensors")
            for path in ["run", "run/checkpoints", "run/"] {
                let outcome = try workspace.run(["inspect", workspace.file(path)])
                #expect(outcome.status == 65, "\(outcome)")
                let bad = outcome.lines.filter { $0.contains("DOES NOT VERIFY") }
                #expect(bad.count == 1 && bad[0].contains("step-000000\(step)"), "\(outcome)")
                #expect(outcome.lines.filter { $0.contains("  verifies  ") }.count == 2, "\(outcome)")
            }
        }

        @Test(
            "M: inspect of a damaged checkpoint names the file",
            arguments: [
                "model.safetensors", "optimizer.safetensors", "trainer_state.json", "tokenizer.json", "config.json",
            ])
        func aDamagedFile(name: String) throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--stop-after", "2"]).status == 75)
            try damage(workspace.checkpoint("run", 2) + "/" + name)
            let outcome = try workspace.run(["inspect", workspace.checkpoint("run", 2)])
            #expect(outcome.status == 65, "\(outcome)")
            let lines = outcome.lines.dropFirst()
            for file in ["model.safetensors", "optimizer.safetensors", "tokenizer.json", "config.json"] {
                let line = lines.first { $0.hasPrefix("  \(file)  ") }
                #expect(line?.hasSuffix("  verifies") == (file != name), "\(file): \(outcome)")
            }
        }
    }
}
