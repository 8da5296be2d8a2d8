import Foundation
import TestSupport
import Testing

/// The helper that the multi-rank and end-to-end tests stand on.
struct SubprocessTests {
    private func shell(
        _ script: String, environment: [String: String] = [:], input: String? = nil, timeout: Double = 30
    ) throws -> Subprocess.Outcome {
        try Subprocess.run("/bin/sh", ["-c", script], environment: environment, input: input, timeout: timeout)
    }

    @Test func `Both streams and the exit code come back`() throws {
        let outcome = try shell("echo out; echo err >&2; exit 7")
        #expect(outcome.status == 7 && !outcome.timedOut)
        #expect(outcome.standardOutput == "out\n" && outcome.standardError == "err\n")
    }

    @Test func `Output larger than any pipe does not block the program`() throws {
        let outcome = try shell("yes a | head -c 3000000 >&2; yes b | head -c 3000000")
        #expect(outcome.status == 0)
        #expect(outcome.standardOutput.utf8.count == 3_000_000 && outcome.standardError.utf8.count == 3_000_000)
    }

    @Test func `A signal is 128 and its number`() throws {
        #expect(try shell("kill -9 $$").status == 137)
    }

    @Test func `A program that exceeds its time is killed with its children`() throws {
        let process = try Subprocess("/bin/sh", ["-c", "trap '' TERM; sleep 1000 & echo ready; wait; sleep 1000"])
        #expect(process.waitForOutput("ready", timeout: 60))
        let children = Subprocess.descendants(of: process.processIdentifier)
        #expect(children.count == 1)
        let outcome = process.wait(timeout: 0.1, grace: 0.3)
        #expect(outcome.timedOut && outcome.status == 137 && outcome.standardOutput == "ready\n")
        #expect(Subprocess.waitForEnd(of: children))
    }

    @Test func `A child that survives does not block the wait`() throws {
        let outcome = try shell("sleep 8 & echo done")
        #expect(outcome.status == 0 && outcome.standardOutput == "done\n")
    }

    @Test func `The environment is added to, and an empty value removes`() throws {
        let outcome = try shell("echo $ADDED ${HOME-none}", environment: ["ADDED": "yes", "HOME": ""])
        #expect(outcome.standardOutput == "yes none\n")
    }

    @Test func `The program starts in the working directory`() throws {
        #expect(try Subprocess.run("/bin/pwd", workingDirectory: "/usr").standardOutput == "/usr\n")
    }

    @Test func `Input arrives, and a program that does not read it does no harm`() throws {
        #expect(try shell("cat", input: "hello").standardOutput == "hello")
        #expect(try shell("exit 0", input: String(repeating: "x", count: 1_000_000)).status == 0)
        #expect(try shell("cat").standardOutput == "")
    }

    @Test func `A program that does not exist is an error`() {
        #expect(throws: Subprocess.Failure.self) { try Subprocess.run("/nowhere/program") }
        #expect(throws: Subprocess.Failure.self) { try BuildProducts.executable("no-such-program") }
    }
}
