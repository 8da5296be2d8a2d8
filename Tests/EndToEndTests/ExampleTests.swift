import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Examples/TrainingLoop: a program on the public library, alone and under mpirun.
    @Suite struct ExampleTests {
        private let workspace: Workspace
        private let text: String
        private let executable: String

        init() throws {
            workspace = try Workspace()
            text = try workspace.write("example.txt", Workspace.text.prefix(20_000).utf8)
            executable = try BuildProducts.executable("training-loop-example")
        }

        private func run(_ run: String, steps: Int = 12, ranks: Int = 1) throws -> Subprocess.Outcome {
            let arguments = [text, workspace.file(run), "\(steps)"]
            return ranks == 1
                ? try Subprocess.run(executable, arguments, workingDirectory: workspace.path)
                : try Subprocess.mpirun(
                    ranks: ranks, executable: executable, arguments: arguments,
                    launcherArguments: ["--mca", "odls_base_sigkill_timeout", "0"], workingDirectory: workspace.path)
        }

        private func steps(_ outcome: Subprocess.Outcome) -> [Substring] {
            outcome.lines.filter { $0.hasPrefix("step ") }
        }

        @Test func theSameBitsOnOneRankAndTwo() throws {
            let one = try run("one")
            #expect(one.status == 0 && one.standardError.isEmpty, "\(one)")
            #expect(steps(one).count == 12 && steps(one)[0].hasPrefix("step 1  rate 0.0006"), "\(one)")
            #expect(
                one.lines.last.map { !$0.hasPrefix("step ") } == true && one.standardOutput.contains("\nlet"), "\(one)")
            let two = try run("two", ranks: 2)
            #expect(two.status == 0 && steps(two) == steps(one), "\(two)")
        }

        @Test func aStopSavesAndTheSameProgramGoesOn() throws {
            let whole = try steps(run("whole", steps: 1500))
            var first = try stopped("parts", steps: 1500)
            // On a busy machine all steps may be over before the signal comes.
            for _ in 0..<5 where steps(first).count == 1500 {
                try FileManager.default.removeItem(atPath: workspace.file("parts"))
                first = try stopped("parts", steps: 1500)
            }
            #expect(first.status == 0 && (1..<1500).contains(steps(first).count), "\(first)")
            let second = try run("parts", steps: 1500)
            #expect(steps(first) + steps(second) == whole, "\(second)")
        }

        /// A run that is asked to stop as soon as it has written of its steps.
        private func stopped(_ run: String, steps: Int) throws -> Subprocess.Outcome {
            let process = try Subprocess(
                executable, [text, workspace.file(run), "\(steps)"], workingDirectory: workspace.path)
            // Standard output of a pipe comes in blocks; the run itself says when its steps begin.
            let metrics = workspace.file(run) + "/metrics.jsonl"
            let deadline = Date(timeIntervalSinceNow: 60)
            while (try? FileManager.default.attributesOfItem(atPath: metrics)[.size] as? Int) ?? 0 < 500,
                Date() < deadline
            { usleep(1000) }
            process.signal(SIGUSR1)
            return process.wait(timeout: 60)
        }

        @Test func aMistakeIsOneLineAndItsCode() throws {
            _ = try run("other", steps: 3)
            let outcome = try run("other", steps: 2)
            #expect(outcome.status == 64, "\(outcome)")
            #expect(outcome.standardOutput.hasPrefix("error: --steps is 2, the checkpoint has 3"), "\(outcome)")
            let shared = try run("other", steps: 2, ranks: 2)
            #expect(shared.status == 64 && shared.lines.filter { $0.hasPrefix("error: ") }.count == 1, "\(shared)")
        }
    }
}
