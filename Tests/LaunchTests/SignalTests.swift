import Foundation
import Glibc
import TestSupport
import Testing

/// Requests to stop, from the first moment to the last.
@Suite struct SignalTests {
    private static let options = ["-n", "1", "-t", "1", "train"]

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGUSR1]) func theFirstOneAsksTheRanksToSave(signal: Int32) throws {
        let tree = try LaunchTree(mpirun: LaunchTree.listening(react: "exit 75"))
        let run = try tree.start("local", Self.options)
        #expect(tree.waitUntilReady())
        run.signal(signal)
        let outcome = run.wait()
        #expect(outcome.status == 75, "\(outcome)")
        #expect(tree.signals == ["USR1"])
        #expect(
            outcome.launchLines.last == "stopped on request, the state is saved; the same command goes on from there")
    }

    @Test("H3: a request is repeated until mpirun has heard it") func aDeafMpirun() throws {
        // mpirun passes a signal to no rank as long as it has none.
        let tree = try LaunchTree(
            mpirun: LaunchTree.listening(react: "[[ $(wc -l <\"$record/signals\") -lt 3 ]] || exit 75"))
        let run = try tree.start("local", Self.options)
        #expect(tree.waitUntilReady())
        run.signal(SIGTERM)
        #expect(run.wait().status == 75)
        #expect(tree.signals == ["USR1", "USR1", "USR1"])
    }

    @Test("H3: a word to the watcher may come in pieces") func theWatcherHearsWholeWords() throws {
        // `read -t` cuts a word in two when its time is over in the middle of it; the pauses here are longer.
        let tree = try LaunchTree()
        let outcome = try tree.bash(
            """
            . launch/common.sh
            sleep 300 & child=$!
            exec {guard}> >(watch)
            watcher=$!
            printf %s "${child:0:2}" >&"$guard"; sleep 1.5
            printf '%s\\nst' "${child:2}" >&"$guard"; sleep 1.5
            printf 'op\\nen' >&"$guard"
            wait "$child" && code=0 || code=$?
            echo "child $code"
            sleep 1.5
            tell d
            for ((i = 0; i < 300; i++)); do kill -0 "$watcher" 2>/dev/null || break; sleep 0.1; done
            ((i == 300)) || echo "the watcher ended"
            kill "$child" 2>/dev/null
            """)
        #expect(outcome.standardOutput == "child 138\nthe watcher ended\n", "\(outcome)")
    }

    @Test(
        "H3: a request that comes before anybody has an ear for it ends with 130 or 143, and not with its own signal",
        arguments: [(SIGINT, 130), (SIGTERM, 143), (SIGHUP, 143), (SIGUSR1, 143)] as [(Int32, Int32)])
    func beforeAnything(signal: Int32, code: Int32) throws {
        // A rank, or mpirun itself, dies of SIGUSR1.
        for death in ["exit 138", "trap - USR1; kill -USR1 $$"] {
            let tree = try LaunchTree(mpirun: LaunchTree.listening(react: death))
            let run = try tree.start("local", Self.options)
            #expect(tree.waitUntilReady())
            run.signal(signal)
            let outcome = run.wait()
            #expect(outcome.status == code, "\(outcome)")
            #expect(outcome.launchLines.last == "stopped on request, before there was anything to save")
        }
    }

    @Test("H3: a request in the first moments of the script is kept or ends it", arguments: 0..<20)
    func atTheStart(moment: Int) throws {
        let tree = try LaunchTree(mpirun: LaunchTree.listening(react: "[[ $signal != USR1 ]] || exit 75"))
        let run = try tree.start("local", Self.options)
        Thread.sleep(forTimeInterval: Double(moment) * 0.025)
        run.signal(SIGTERM)
        let outcome = run.wait()
        #expect([75, 143].contains(outcome.status), "\(outcome)")
        #expect(tree.signals.allSatisfy { $0 == "USR1" })
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP]) func theSecondOneEndsTheRun(signal: Int32) throws {
        let tree = try LaunchTree(mpirun: LaunchTree.listening(react: "[[ $signal != TERM ]] || exit 1"))
        let run = try tree.start("local", Self.options)
        #expect(tree.waitUntilReady())
        run.signal(SIGTERM)
        #expect(waitUntil { tree.signals.contains("USR1") })
        run.signal(signal)
        #expect(run.wait().status == 1)
        #expect(tree.signals.last == "TERM")
    }

    @Test func aSecondSIGUSR1OnlyAsksAgain() throws {
        let tree = try LaunchTree(
            mpirun: LaunchTree.listening(react: "[[ $(wc -l <\"$record/signals\") -lt 2 ]] || exit 75"))
        let run = try tree.start("local", Self.options)
        #expect(tree.waitUntilReady())
        run.signal(SIGUSR1)
        #expect(waitUntil { !tree.signals.isEmpty })
        run.signal(SIGUSR1)
        #expect(run.wait().status == 75)
        #expect(Set(tree.signals) == ["USR1"])
    }

    @Test func mpirunIsOutOfReachOfTheTerminal() throws {
        let tree = try LaunchTree(mpirun: LaunchTree.listening(react: "[[ $signal != USR1 ]] || exit 75"))
        let run = try tree.start("local", Self.options)
        #expect(tree.waitUntilReady())
        // Ctrl-C goes to the whole foreground group.
        kill(-run.processIdentifier, SIGINT)
        #expect(run.wait().status == 75)
        #expect(tree.signals == ["USR1"])
    }

    @Test("H5: kill -9 of the script is a request for the ranks too", arguments: ["local", "restart"])
    func aKilledScript(script: String) throws {
        let tree = try LaunchTree(mpirun: LaunchTree.listening(react: "exit 75"))
        let run = try tree.start(
            script,
            script == "local" ? Self.options : [tree.checkout + "/launch/local"] + Self.options + ["--run-dir", "r"])
        #expect(tree.waitUntilReady())
        let family = Subprocess.descendants(of: run.processIdentifier)
        // With its whole group, as `timeout` does it.
        kill(-run.processIdentifier, SIGKILL)
        #expect(Subprocess.waitForEnd(of: family))
        #expect(tree.signals.first == "USR1")
        #expect(run.wait().status == 137)
    }

    @Test("H5: who does not listen after kill -9 of the script is ended: TERM after 6 s, KILL after 8 s")
    func aKilledScriptOfADeafMpirun() throws {
        let tree = try LaunchTree(mpirun: LaunchTree.listening(react: ":"))
        let run = try tree.start("local", Self.options)
        #expect(tree.waitUntilReady())
        let family = Subprocess.descendants(of: run.processIdentifier)
        kill(run.processIdentifier, SIGKILL)
        #expect(Subprocess.waitForEnd(of: family))
        #expect(tree.signals.last == "TERM" && tree.signals.dropLast().allSatisfy { $0 == "USR1" })
        #expect(tree.signals.count >= 2)
        _ = run.wait()
    }

    @Test func nothingIsLeftAfterARun() throws {
        let tree = try LaunchTree(mpirun: "touch \"$record/ready\"; sleep 0.5")
        let run = try tree.start("local", Self.options)
        #expect(tree.waitUntilReady())
        let family = Subprocess.descendants(of: run.processIdentifier)
        #expect(run.wait().status == 0)
        #expect(Subprocess.waitForEnd(of: family))
    }
}
