import Foundation
import TestSupport
import Testing

/// What launch/local has mpirun run, on machines of the tests' own making.
@Suite struct LocalTests {
    /// mpirun's arguments up to the executable, and those of the executable.
    private func launched(_ tree: LaunchTree) throws -> (mpirun: [String], swiftlet: [String]) {
        let call = try #require(try tree.calls().first)
        let place = try #require(call.arguments.firstIndex(of: tree.checkout + "/.build/release/swiftlet"))
        return (Array(call.arguments[..<place]), Array(call.arguments[(place + 1)...]))
    }

    @Test(
        arguments: [
            // -n alone: the cores shared out. -t alone, or neither: a power of two of ranks.
            (8, ["-n", "2"], 2, 4), (8, ["-n", "3"], 3, 2), (8, ["-t", "3"], 2, 3), (8, [], 8, 1), (6, [], 4, 1),
            (8, ["-n", "2", "-t", "1"], 2, 1), (8, ["-n2", "-t1"], 2, 1), (1, [], 1, 1), (8, ["-t", "8"], 1, 8),
            (8, ["-n", "8"], 8, 1),
            // More than there is room for is allowed.
            (2, ["-n", "3"], 3, 1), (2, ["-n", "2", "-t", "2"], 2, 2),
        ] as [(Int, [String], Int, Int)])
    func ranksAndThreads(cores: Int, options: [String], ranks: Int, threads: Int) throws {
        let tree = try LaunchTree()
        try tree.becomeMachine(cores: cores)
        let outcome = try tree.run("local", options + ["train", "--run-dir", "r"])
        #expect(outcome.status == 0, "\(outcome)")
        let call = try launched(tree)
        #expect(call.mpirun.starts(with: ["-np", "\(ranks)", "--oversubscribe", "--bind-to", "none"]))
        #expect(call.swiftlet == ["train", "--run-dir", "r", "--threads", "\(threads)"])
        // Who has more threads than cores is told, and not bound.
        let isTight = ranks * threads > cores
        #expect(outcome.launchLines.contains { $0.contains("expect it to be slow") } == isTight)
        #expect(call.mpirun.contains { $0.hasSuffix("/on-cores") } == !isTight)
        #expect(try tree.calls()[0].environment["OMPI_MCA_mpi_yield_when_idle"] == (isTight ? "1" : nil))
    }

    @Test(
        arguments: [
            (["--threads", "3"], 2, ["--threads", "3"]), (["--threads=3"], 2, ["--threads=3"]),
            (["--threads", "auto"], 8, ["--threads", "auto"]),
        ])
    func threadsOfTheCommandItselfCount(options: [String], ranks: Int, expected: [String]) throws {
        let tree = try LaunchTree()
        try tree.becomeMachine(cores: 8)
        #expect(try tree.run("local", ["train"] + options).status == 0)
        let call = try launched(tree)
        #expect(call.mpirun.starts(with: ["-np", "\(ranks)"]))
        #expect(call.swiftlet == ["train"] + expected)
    }

    @Test func onlyCommandsThatHaveTheOptionGetThreads() throws {
        for (command, more) in [
            ("bench", ["--threads", "2"]), ("plan", ["--threads", "2"]), ("evaluate", []),
        ] {
            let tree = try LaunchTree()
            try tree.becomeMachine(cores: 4)
            #expect(try tree.run("local", ["-n", "2", command]).status == 0)
            #expect(try launched(tree).swiftlet == [command] + more)
        }
    }

    @Test func argumentsArriveAsTheyWere() throws {
        let tree = try LaunchTree()
        let odd = ["train", "--train-data", "a b/*.bin", "", "it's", "--x=\\n \"q\"", "é$HOME`id`", "--threads", "1"]
        let outcome = try tree.run("local", ["-n", "1", "-t", "1"] + odd)
        #expect(outcome.status == 0)
        #expect(try launched(tree).swiftlet == odd)
        // The line that is printed can be pasted into a shell: it is the call.
        let line = try #require(outcome.launchLines.last)
        #expect(try tree.bash(line).status == 0)
        let calls = try tree.calls()
        #expect(calls.count == 2 && calls[0].arguments == calls[1].arguments)
    }

    @Test(arguments: [0, 1, 64, 65, 66, 70, 73, 74, 75, 76, 78, 79, 80, 81, 126, 127, 132, 137, 139, 205, 255])
    func exitCodesArePassedOn(code: Int32) throws {
        let tree = try LaunchTree(mpirun: "exit \(code)")
        #expect(try tree.run("local", ["-n", "1", "train"]).status == code)
    }

    @Test(
        arguments: [
            ([], "no subcommand"), (["-n", "2"], "no subcommand"),
            (["-n"], "-n is no option of this script, or has no value"),
            (["-x", "train"], "-x is no option"), (["-n", "0", "train"], "'0' is no count"),
            (["-n", "-1", "train"], "'-1' is no count"), (["-n", "9223372036854775808", "train"], "is no count"),
            (["-t", "two", "train"], "'two' is no count"), (["-n", "2 3", "train"], "'2 3' is no count"),
            (["-n", "", "-t", "x y", "train"], "'x y' is no count"), (["train", "--threads", "0"], "'0' is no count"),
        ])
    func whatCannotBeMeantIs64(arguments: [String], word: String) throws {
        let tree = try LaunchTree()
        let outcome = try tree.run("local", arguments)
        #expect(outcome.status == 64, "\(outcome)")
        #expect(outcome.launchLines.count == 1 && outcome.launchLines[0].contains(word), "\(outcome)")
        #expect(outcome.standardError.split(separator: "\n").count == 1)
        #expect(try tree.calls().isEmpty)
    }

    @Test func whatIsNotThereIs66() throws {
        let tree = try LaunchTree()
        for place in ["/nonexistent", "/tmp", "/etc/passwd"] {
            let outcome = try tree.run("local", ["-n", "1", "train"], environment: ["SWIFTLET": place])
            #expect(outcome.status == 66)
            #expect(outcome.launchLines.contains { $0.contains(place) && $0.contains("make build") }, "\(outcome)")
        }
        // A PATH with everything that the script needs, and no mpirun.
        try tree.linkTools(["flock"])
        let outcome = try tree.run("local", ["-n", "1", "train"], environment: ["PATH": tree.path + "/tools"])
        #expect(outcome.status == 66, "\(outcome)")
        #expect(outcome.launchLines == ["mpirun is not installed: run 'make setup', or install Open MPI"])
    }

    @Test(
        "L3: what needs no ranks runs once, without mpirun, and says so",
        arguments: [
            ["generate", "--checkpoint", "r"], ["tokenize", "--input", "a b"], ["inspect", "r"],
        ])
    func commandsWithoutRanks(arguments: [String]) throws {
        let tree = try LaunchTree()
        try tree.standIn("checkout/.build/release/swiftlet", "read -r line; echo \"heard $line\"; exit 65")
        let outcome = try Subprocess.run(
            tree.checkout + "/launch/local", ["-n", "2"] + arguments, environment: tree.variables,
            input: "standard input\n")
        #expect(outcome.status == 65 && outcome.standardOutput == "heard standard input\n", "\(outcome)")
        #expect(outcome.launchLines == ["\(arguments[0]) needs no ranks: it runs once, without mpirun"])
        #expect(try tree.calls().isEmpty)
        #expect(try tree.calls("swiftlet").map(\.arguments) == [arguments])
    }

    @Test(arguments: [["help", "train"], ["train", "--help"], ["--version"], ["bench", "-h"]])
    func helpNeedsNoRanks(arguments: [String]) throws {
        let tree = try LaunchTree()
        let outcome = try tree.run("local", ["-t", "1"] + arguments)
        #expect(outcome.status == 0 && outcome.standardError.isEmpty)
        #expect(try tree.calls("swiftlet").map(\.arguments) == [arguments])
    }

    @Test func whatStandsBehindTwoDashesIsNoRequestForHelp() throws {
        let tree = try LaunchTree()
        #expect(try tree.run("local", ["-u", "-n", "1", "train", "--", "--help"]).status == 0)
        #expect(try tree.calls("swiftlet").isEmpty)
        #expect(try launched(tree).swiftlet.prefix(3) == ["train", "--", "--help"])
    }

    @Test(arguments: ["local", "hosts", "restart"]) func theScriptsExplainThemselves(script: String) throws {
        let outcome = try LaunchTree().run(script, ["--help"])
        #expect(outcome.status == 0)
        #expect(outcome.standardOutput.contains("    launch/\(script) "), "\(outcome)")
        #expect(!outcome.standardOutput.contains("#"))
    }

    @Test(
        "Open MPI reads no other rank's memory where a container forbids it",
        arguments: [
            ("Seccomp:\t0\nCapEff:\t0000000000000000\n", nil), ("Seccomp:\t2\nCapEff:\t0000000000000000\n", "none"),
            ("Seccomp:\t2\nCapEff:\t0000000000080000\n", nil), ("Seccomp:\t2\nCapEff:\t000001fffff7ffff\n", "none"),
            ("CapEff:\t0000000000000000\n", nil),
        ])
    func reading(status: String, expected: String?) throws {
        let name = "OMPI_MCA_btl_vader_single_copy_mechanism"
        let tree = try LaunchTree()
        try tree.edit("common.sh", "/proc/self/status", try tree.write("status", status))
        for given in ["", "cma"] {
            let outcome = try tree.run("local", ["-u", "-n", "1", "-t", "1", "train"], environment: [name: given])
            #expect(outcome.status == 0, "\(outcome)")
            let found = try tree.calls().last?.environment[name]
            #expect(found == (given.isEmpty ? expected : given))
        }
    }

    @Test("Open MPI's environment: root, and hosts that fall silent are noticed in about 15 s")
    func environment() throws {
        let tree = try LaunchTree()
        #expect(try tree.run("local", ["-n", "1", "train"]).status == 0)
        let given = ["time": "7", "intvl": "8", "probes": "9"].map {
            ("OMPI_MCA_oob_tcp_keepalive_" + $0.key, $0.value)
        }
        #expect(
            try tree.run("local", ["-n", "1", "train"], environment: Dictionary(uniqueKeysWithValues: given)).status
                == 0)
        let calls = try tree.calls()
        let own = calls[0].environment
        #expect(own["OMPI_ALLOW_RUN_AS_ROOT"] == (getuid() == 0 ? "1" : nil))
        #expect(own["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] == (getuid() == 0 ? "1" : nil))
        let numbers = ["time", "intvl", "probes"].compactMap { Int(own["OMPI_MCA_oob_tcp_keepalive_" + $0] ?? "") }
        try #require(numbers.count == 3)
        #expect((10...20).contains(numbers[0] + numbers[1] * numbers[2]))
        // Who has set them keeps them.
        for (name, value) in given { #expect(calls[1].environment[name] == value) }
    }
}
