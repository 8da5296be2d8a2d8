import Basics
import Foundation
import Glibc
import TestSupport
import Testing

/// What launch/restart does after each end of a run.
@Suite struct RestartTests {
    /// Runs launch/restart on a command that ends with these codes, one a call, and at last with 0.
    ///
    /// - Parameter saves: how many calls leave a newer checkpoint.
    private func restart(
        _ codes: [Int32], options: [String] = ["-p", "0"], saves: Int = 0, directory: [String] = ["--run-dir", "r"],
        environment: [String: String] = [:]
    ) throws -> (calls: Int, outcome: Subprocess.Outcome) {
        let tree = try LaunchTree()
        try tree.standIn(
            "bin/train",
            """
            codes=(\(codes.map { "\($0)" }.joined(separator: " ")) 0)
            if ((call <= \(saves))); then
                mkdir -p "r/checkpoints/step-0000000$call"
                touch "r/checkpoints/step-0000000$call/manifest.json"
            fi
            exit ${codes[call - 1]}
            """)
        let outcome = try tree.run("restart", options + ["train", "x y"] + directory, environment: environment)
        let calls = try tree.calls("train")
        #expect(calls.allSatisfy { $0.arguments == ["x y"] + directory })
        return (calls.count, outcome)
    }

    @Test("L4, P4: every row of the table", arguments: ExitCodeTable.all) func table(row: ExitCodeTable.Row) throws {
        // 131 and more are rows of their own.
        for code in row.code.map({ [$0] }) ?? [134, 135, 136, 137, 139, 152, 159] where code != 0 {
            let first = try restart([code])
            let later = try restart([74, code])
            let through = try restart([code], options: ["-s", "-p", "0"])
            switch row.restart {
            case "ends":
                #expect(first.calls == 1 && first.outcome.status == code, "\(first)")
                #expect(later.calls == 2 && later.outcome.status == code, "\(later)")
                #expect(through.calls == 1)
            case "again":
                #expect(first.calls == 2 && first.outcome.status == 0, "\(first)")
                #expect(later.calls == 3 && through.calls == 2)
            case "ends; again with `-s`":
                #expect(first.calls == 1 && first.outcome.status == code)
                #expect(later.calls == 2 && through.calls == 2)
            case "ends; again after another failure":
                #expect(first.calls == 1 && first.outcome.status == code)
                #expect(later.calls == 3 && later.outcome.status == 0 && through.calls == 1)
            default: Issue.record("no test for \(row)")
            }
        }
    }

    @Test func theTableHasEveryCode() throws {
        let codes = try ExitCodeTable().rows.map(\.code)
        for code in ExitCode.allCases { #expect(codes.contains(code.rawValue), "\(code)") }
        // Open MPI's own and the shell's, and requests that came too early.
        for code in [1, 126, 127, 129, 130, 131, 132, 138, 143, 205, 255] as [Int32] {
            #expect(codes.contains(code), "\(code)")
        }
        #expect(codes.contains(nil))
        #expect(Set(codes).count == codes.count)
    }

    @Test func aRunThatIsDoneEnds() throws {
        let run = try restart([])
        #expect(run.calls == 1 && run.outcome.status == 0 && run.outcome.standardError == "")
    }

    @Test func threeRestartsWithoutProgressAreEnough() throws {
        let run = try restart([137, 137, 137, 137, 137])
        #expect(run.calls == 4 && run.outcome.status == 137)
        #expect(
            run.outcome.launchLines.last
                == "exit code 137, and 3 restarts brought no checkpoint newer than step -1: giving up")
        // Those with progress do not count.
        let progress = try restart([Int32](repeating: 137, count: 20), saves: 3)
        #expect(progress.calls == 6 && progress.outcome.status == 137)
        #expect(progress.outcome.launchLines.first == "exit code 137, newest checkpoint: step 1; again in 0 s")
        #expect(try restart([137, 137, 137]).outcome.status == 0)
        #expect(try restart([75, 75, 75, 75, 75], options: ["-s", "-p", "0"], saves: 5).calls == 6)
    }

    @Test(
        "P4: the run directory as swiftlet reads it",
        arguments: [
            ["--run-dir", "r"], ["--run-dir=r"], ["--run-dir", "./r/"], ["--run-dir=~/r"], ["--run-dir", "~/r"],
            ["--run-dir", "other", "--run-dir", "r"],
        ])
    func runDirectories(directory: [String]) throws {
        let tree = try LaunchTree()
        try tree.write("checkout/r/checkpoints/step-00000042/manifest.json", "")
        // Without a manifest it is no checkpoint, and this is no step.
        try tree.write("checkout/r/checkpoints/step-00000077/model.safetensors", "")
        try tree.write("checkout/r/checkpoints/step-new/manifest.json", "")
        try tree.standIn("bin/train", "((call > 1)) || exit 76")
        for (options, arguments) in [([], directory), (["-d", directory.last!.replacing("--run-dir=", with: "")], [])] {
            let outcome = try tree.run(
                "restart", ["-p", "0"] + options + ["train"] + arguments, environment: ["HOME": tree.checkout])
            #expect(outcome.status == 0)
            #expect(outcome.launchLines.first == "exit code 76, newest checkpoint: step 42; again in 0 s", "\(outcome)")
            try FileManager.default.removeItem(atPath: tree.path + "/record")
            try FileManager.default.createDirectory(atPath: tree.path + "/record", withIntermediateDirectories: true)
        }
    }

    @Test(
        arguments: [
            [], ["launch/local", "train"], ["-d", "r"], ["-x", "launch/local", "train", "--run-dir", "r"], ["-p"],
            ["-p", "soon", "launch/local", "train", "--run-dir", "r"],
            ["-p", "-1", "launch/local", "train", "--run-dir", "r"],
        ])
    func whatCannotBeMeantIs64(arguments: [String]) throws {
        let tree = try LaunchTree()
        let outcome = try tree.run("restart", arguments)
        #expect(outcome.status == 64 && outcome.launchLines.count == 1, "\(outcome)")
        #expect(outcome.standardError.split(separator: "\n").count == 1)
        #expect(try tree.calls().isEmpty)
    }

    @Test func aCommandThatIsNotThereEnds() throws {
        let tree = try LaunchTree()
        let outcome = try tree.run("restart", ["-p", "0", tree.path + "/nothing", "--run-dir", "r"])
        #expect(outcome.status == 127, "\(outcome)")
        try tree.write("noprogram", "")
        #expect(try tree.run("restart", ["-p", "0", tree.path + "/noprogram", "--run-dir", "r"]).status == 126)
    }

    @Test("H3: what somebody stopped is not started again", arguments: [SIGINT, SIGTERM, SIGHUP, SIGUSR1])
    func aStopEnds(signal: Int32) throws {
        // Whatever the run makes of the request.
        for (code, ends) in [(75, 75), (138, signal == SIGINT ? 130 : 143), (137, 137), (0, 0)] as [(Int32, Int32)] {
            let tree = try LaunchTree(mpirun: LaunchTree.listening(react: "exit \(code)"))
            let run = try tree.start(
                "restart", ["-s", "-p", "0", tree.checkout + "/launch/local", "-n", "1", "train", "--run-dir", "r"])
            #expect(tree.waitUntilReady())
            run.signal(signal)
            let outcome = run.wait()
            #expect(outcome.status == ends, "\(outcome)")
            #expect(try tree.calls().count == 1)
            #expect(tree.signals == ["USR1"])
        }
    }

    @Test(
        "H3: a stop of the launch script, of mpirun or of a rank in its first moment is one",
        arguments: [129, 130, 138, 143])
    func anEarlyStopOfAnythingBelow(code: Int32) throws {
        let run = try restart([code], options: ["-s", "-p", "0"])
        #expect(run.calls == 1 && run.outcome.status == code)
    }

    @Test("The pause is ten seconds unless given, and a stop ends it", arguments: [(["-p", "100"], 100), ([], 10)])
    func aStopDuringThePauseEnds(options: [String], pause: Int) throws {
        let tree = try LaunchTree(mpirun: "exit 137")
        let run = try tree.start(
            "restart",
            options + [tree.checkout + "/launch/local", "-n", "1", "-t", "1", "train", "--run-dir", "r"])
        #expect(waitUntil { run.standardErrorSoFar.contains("; again in ") })
        run.signal(SIGTERM)
        let outcome = run.wait(timeout: 50)
        #expect(outcome.status == 143, "\(outcome)")
        #expect(outcome.launchLines.contains { $0.hasSuffix("; again in \(pause) s") }, "\(outcome)")
        #expect(try tree.calls().count == 1)
    }

    @Test func theSecondSignalGoesThroughBothScripts() throws {
        let tree = try LaunchTree(mpirun: LaunchTree.listening(react: "[[ $signal != TERM ]] || exit 1"))
        let run = try tree.start(
            "restart", [tree.checkout + "/launch/local", "-n", "1", "-t", "1", "train", "--run-dir", "r"])
        #expect(tree.waitUntilReady())
        run.signal(SIGINT)
        #expect(waitUntil { tree.signals.contains("USR1") })
        run.signal(SIGINT)
        #expect(run.wait().status == 1)
        #expect(tree.signals.last == "TERM")
    }
}
