import Foundation
import TestSupport
import Testing

extension EndToEndFaults {
    /// Sizes that no machine holds and machines that hold little: an error with one line, and never a signal.
    @Suite(.serialized) struct LimitsTests {
        @Test("T1, H2: sizes that no machine holds", arguments: [1 << 31, 1 << 62, Int.max])
        func impossibleSizes(value: Int) throws {
            let workspace = try Workspace()
            for name in [
                "layers", "heads", "embedding-size", "context-length", "vocab-size", "micro-batch", "global-batch",
                "threads",
            ] {
                let outcome = try workspace.train("run", ["--\(name)", "\(value)"])
                #expect(outcome.status == 64 && outcome.errorLines.count == 1, "--\(name) \(value): \(outcome)")
            }
            for name in ["layers", "vocab-size", "micro-batch", "accumulation", "bucket", "threads"] {
                let outcome = try workspace.run(["bench", "--\(name)", "\(value)"])
                #expect(outcome.status == 64 && outcome.errorLines.count == 1, "bench --\(name) \(value): \(outcome)")
            }
        }

        @Test("T1: a run that cannot fit is refused with the largest micro-batch that can, which then runs")
        func refusedByMemory() throws {
            let workspace = try Workspace()
            let shape = ["--embedding-size", "128", "--global-batch", "8000000", "--steps", "1"]
            let outcome = try workspace.train("run", shape + ["--micro-batch", "8000000"])
            #expect(outcome.status == 64 && outcome.errorLines.count == 1, "\(outcome)")
            let line = try #require(outcome.errorLines.first)
            #expect(line.contains("activations") && line.contains("the largest --micro-batch that fits"))
            let largest = try #require(line.split(separator: " ").last.flatMap { Int($0) })
            #expect(largest > 0 && 8_000_000 % largest == 0)
            // The next larger divisor does not fit; a plan of this one does, as it is written before the first step.
            let next = try #require((largest + 1...8_000_000).first { 8_000_000 % $0 == 0 })
            #expect(try workspace.train("run", shape + ["--micro-batch", "\(next)"]).status == 64)
            #expect(!FileManager.default.fileExists(atPath: workspace.file("run/checkpoints/step-00000001")))
        }

        @Test("T4: train, evaluate, generate and bench with little address space")
        func littleAddressSpace() throws {
            let workspace = try Workspace()
            #expect(try workspace.train("small", ["--steps", "1"]).status == 0)
            let commands = [
                workspace.trainArguments(
                    "run",
                    [
                        "--steps", "1", "--embedding-size", "512", "--layers", "4", "--threads", "2", "--precision",
                        "auto",
                    ]),
                ["evaluate", "--checkpoint", workspace.file("small"), "--data", workspace.data + "/val_*.bin"],
                ["generate", "--checkpoint", workspace.file("small"), "--prompt", "let", "--max-tokens", "3"],
                ["bench", "--steps", "1", "--threads", "1"],
            ]
            for (index, arguments) in commands.enumerated() {
                var refused = 0
                var ran = 0
                for megabytes in stride(from: 130, through: 940, by: index == 0 ? 90 : 270) {
                    try? FileManager.default.removeItem(atPath: workspace.file("run"))
                    let outcome = try limited(workspace, arguments, megabytes: megabytes)
                    switch outcome.status {
                    case 0: ran += 1
                    case 64:
                        refused += 1
                        #expect(outcome.errorLines.count == 1 && outcome.standardError.contains("memory"), "\(outcome)")
                    default:
                        // What the dynamic linker says before the program begins.
                        #expect(
                            outcome.status == 127 && outcome.standardError.contains("shared libraries"),
                            "\(arguments[0]) with \(megabytes) MB: \(outcome)")
                    }
                }
                #expect(refused > 0 && ran > 0, "\(arguments[0]): \(refused) refused, \(ran) ran")
            }
        }

        @Test("T4: two ranks with too little address space: one line, one code")
        func littleAddressSpaceOfTwoRanks() throws {
            let workspace = try Workspace()
            let arguments = workspace.trainArguments(
                "run", ["--steps", "1", "--embedding-size", "512", "--layers", "4"])
            let outcome = try Subprocess.mpirun(
                ranks: 2, executable: "/bin/sh",
                arguments: ["-c", "ulimit -v 450000; exec \"$@\"", "sh", workspace.executable] + arguments,
                workingDirectory: workspace.path)
            #expect(outcome.status == 64 && outcome.errorLines.count == 1, "\(outcome)")
        }

        private func limited(
            _ workspace: Workspace, _ arguments: [String], megabytes: Int
        ) throws -> Subprocess.Outcome {
            try Subprocess.run(
                "/bin/sh", ["-c", "ulimit -v \(megabytes)000; exec \"$@\"", "sh", workspace.executable] + arguments,
                workingDirectory: workspace.path, timeout: 120)
        }
    }
}
