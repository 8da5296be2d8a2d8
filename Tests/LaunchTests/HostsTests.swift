import Foundation
import TestSupport
import Testing

/// launch/hosts and launch/slurm: what they look at, and what they have mpirun run.
@Suite struct HostsTests {
    private static let agent = "agent -o X=1"

    /// A tree with hosts that are reached by a stand-in, which runs its words in a shell as sshd does, and takes whatever
    /// its standard input has.
    private func tree(name: String = "checkout", hosts: String = "a slots=2\nb slots=2\n") throws -> LaunchTree {
        let tree = try LaunchTree(name: name)
        try tree.standIn(
            "bin/agent",
            "cat; [[ $1 == -o && $2 == X=1 ]] || exit 9; shift 2; [[ $1 != dead ]] || exit 255; shift; sh -c \"$*\"")
        try tree.write("the hosts.txt", hosts)
        return tree
    }

    private func run(_ tree: LaunchTree, _ arguments: [String]) throws -> Subprocess.Outcome {
        try tree.run(
            "hosts", [tree.path + "/the hosts.txt"] + arguments, environment: ["OMPI_MCA_plm_rsh_agent": Self.agent])
    }

    @Test("L2: blanks in the checkout and the hostfile", arguments: ["checkout", "a b's"])
    func everyHostIsLookedAt(name: String) throws {
        let tree = try tree(
            name: name, hosts: "# two\n\na slots=2\n  b slots=2\na slots=1\nlocalhost slots=1\nthis-one slots=1\n")
        try tree.standIn("bin/hostname", "echo this-one")
        let outcome = try run(tree, ["-t", "2", "train", "--run-dir", "r"])
        #expect(outcome.status == 0, "\(outcome)")
        #expect(try tree.calls("agent").map { $0.arguments[2] } == ["a", "b"])
        #expect(
            try tree.calls()[0].arguments == [
                "--hostfile", tree.path + "/the hosts.txt", "--map-by", "slot:PE=2", "--bind-to", "core",
                tree.checkout + "/.build/release/swiftlet", "train", "--run-dir", "r", "--threads", "2",
            ])
    }

    @Test("L2: a host that asks for a password, or does not answer, is an error and not a wait") func ssh() throws {
        let tree = try tree()
        try tree.standIn("bin/ssh", "exit 0")
        let outcome = try tree.run(
            "hosts", [tree.path + "/the hosts.txt", "train"], environment: ["OMPI_MCA_plm_rsh_agent": ""])
        #expect(outcome.status == 0, "\(outcome)")
        let options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
        let look = ["test", "-x", tree.checkout + "/.build/release/swiftlet"]
        #expect(try tree.calls("ssh").map(\.arguments) == [options + ["a"] + look, options + ["b"] + look])
    }

    @Test func threads() throws {
        for (given, expected) in [
            ([], ["1", "train", "--threads", "1"]), (["--threads", "3"], ["3", "train", "--threads", "3"]),
            (["--threads=auto"], ["1", "train", "--threads=auto"]),
        ] {
            let tree = try tree()
            #expect(try run(tree, ["train"] + given).status == 0)
            let arguments = try tree.calls()[0].arguments
            #expect(arguments[3] == "slot:PE=" + expected[0])
            #expect(Array(arguments.dropFirst(7)) == Array(expected.dropFirst()))
        }
    }

    @Test("L1: hosts that share their cores are not bound") func unbound() throws {
        let tree = try tree()
        #expect(try run(tree, ["-u", "train", "--threads", "2"]).status == 0)
        #expect(try tree.calls()[0].arguments[2...3] == ["--bind-to", "none"])
    }

    @Test func whatIsNotThereIs66() throws {
        let dead = try tree(hosts: "a slots=1\ndead slots=1\n")
        let outcome = try run(dead, ["train"])
        #expect(outcome.status == 66)
        #expect(
            outcome.launchLines == [
                "host dead: cannot be reached by '\(Self.agent)', or has no executable "
                    + "\(dead.checkout)/.build/release/swiftlet: copy it there or use a shared folder"
            ])
        #expect(try dead.calls().isEmpty)
        for place in ["/nonexistent", "/tmp"] {
            let tree = try tree()
            let outcome = try tree.run("hosts", [place, "train"])
            #expect(outcome.status == 66 && outcome.launchLines[0].contains(place), "\(outcome)")
        }
    }

    @Test(arguments: [[], ["-t", "x", "train"], ["-t"], ["-q", "train"], ["train", "--threads", "x"]])
    func whatCannotBeMeantIs64(arguments: [String]) throws {
        let tree = try tree()
        let outcome = try run(tree, arguments)
        #expect(outcome.status == 64 && outcome.launchLines.count == 1, "\(outcome)")
        #expect(try tree.calls().isEmpty)
    }

    @Test("L3: under other launchers too") func commandsWithoutRanks() throws {
        let tree = try tree()
        #expect(try run(tree, ["tokenize", "--input", "x"]).status == 0)
        #expect(try tree.calls("swiftlet").map(\.arguments) == [["tokenize", "--input", "x"]])
        #expect(try tree.calls().isEmpty)
        #expect(try tree.calls("agent").isEmpty)
        let slurm = try slurmTree(job: "")
        #expect(try self.slurm(slurm, ["generate", "--checkpoint", "r"]).status == 0)
        #expect(try slurm.calls("swiftlet").map(\.arguments) == [["generate", "--checkpoint", "r"]])
        #expect(try slurm.calls().isEmpty)
    }

    /// The codes of mpirun, and what is said about those that need a word.
    @Test(arguments: [
        (75, "stopped on request"), (205, "lost a host"), (255, "could not start on every host, or lost one"),
        (137, "mpirun "),
    ])
    func lastWords(code: Int32, word: String) throws {
        let tree = try tree()
        try tree.standIn("bin/mpirun", "exit \(code)")
        let outcome = try run(tree, ["train"])
        #expect(outcome.status == code)
        #expect(outcome.launchLines.last?.contains(word) == true)
    }

    // Slurm.

    /// A tree whose Slurm tells this of the job, in place of the script's path and `train`.
    private func slurmTree(name: String = "checkout", job: String) throws -> LaunchTree {
        let tree = try LaunchTree(name: name)
        try tree.standIn("bin/scontrol", "[[ $1 != show ]] || cat \"$record/../job\"")
        try tree.write(
            "job", "JobId=7 JobName=swiftlet\n   Command=\(tree.checkout)/launch/slurm\(job)\n   WorkDir=/\n")
        // sbatch runs a copy, from its own folder.
        try FileManager.default.createDirectory(atPath: tree.path + "/spool", withIntermediateDirectories: true)
        try Subprocess.betweenStarts {
            try FileManager.default.copyItem(
                atPath: tree.checkout + "/launch/slurm", toPath: tree.path + "/spool/slurm_script")
        }
        return tree
    }

    private func slurm(
        _ tree: LaunchTree, _ arguments: [String], _ variables: [String: String] = [:]
    ) throws -> Subprocess.Outcome {
        let job = ["SLURM_JOB_ID": "7", "SLURM_SUBMIT_DIR": "/", "SLURM_CPUS_ON_NODE": "100000"]
        return try tree.run(
            tree.path + "/spool/slurm_script", arguments, environment: job.merging(variables) { $1 },
            workingDirectory: "/")
    }

    @Test("L2: sbatch from another folder", arguments: ["checkout", "a b"]) func slurmFindsItsTree(name: String) throws
    {
        for job in ["", " train --run-dir a b c"] {
            let tree = try slurmTree(name: name, job: job)
            let outcome = try slurm(tree, ["train", "--run-dir", "a b c"])
            #expect(outcome.status == 0, "\(outcome)")
            #expect(
                try tree.calls().map(\.arguments) == [
                    [
                        "--map-by", "slot:PE=1", "--bind-to", "core", tree.checkout + "/.build/release/swiftlet",
                        "train",
                        "--run-dir", "a b c", "--threads", "1",
                    ]
                ])
        }
    }

    @Test func slurmWithoutAWordOnItsScriptIsAtTheTopOfTheTree() throws {
        let tree = try slurmTree(job: "")
        try tree.write("job", "JobId=7\n")
        #expect(try slurm(tree, ["train"], ["SLURM_SUBMIT_DIR": tree.checkout]).status == 0)
        let outcome = try slurm(tree, ["train"])
        #expect(outcome.status == 66 && outcome.launchLines.first?.contains("submit from the top of the tree") == true)
    }

    @Test("L1: a part of a node is Slurm's to bind") func slurmBinding() throws {
        for (variables, expected) in [
            (["SLURM_CPUS_ON_NODE": "0"], ["--bind-to", "none"]),
            (["SLURM_CPUS_PER_TASK": "4"], ["--map-by", "slot:PE=4", "--bind-to", "core"]),
        ] {
            let tree = try slurmTree(job: "")
            #expect(try slurm(tree, ["train"], variables).status == 0)
            #expect(try tree.calls()[0].arguments.starts(with: expected))
        }
    }

    @Test(arguments: [0, 75, 137, 65]) func slurmPutsAStoppedJobBack(code: Int32) throws {
        let tree = try slurmTree(job: "")
        try tree.standIn("bin/mpirun", "exit \(code)")
        #expect(try slurm(tree, ["train"]).status == code)
        let requeued = try tree.calls("scontrol").contains { $0.arguments == ["requeue", "7"] }
        #expect(requeued == (code == 75))
    }

    /// sbatch reads them up to the first command. The signal goes to the script, which passes it on, two minutes before the
    /// end.
    @Test func whatSlurmIsAskedFor() throws {
        let text = try String(contentsOfFile: LaunchTree.repository + "/launch/slurm", encoding: .utf8)
        let head = text.split(separator: "\n").prefix { $0.hasPrefix("#") }
        for option in ["signal=B:USR1@120", "requeue", "open-mode=append"] {
            #expect(head.contains { $0 == "#SBATCH --" + option }, "\(option)")
        }
    }

    @Test func outsideSlurmIs64() throws {
        let tree = try slurmTree(job: "")
        #expect(try slurm(tree, ["train"], ["SLURM_JOB_ID": ""]).status == 64)
        #expect(try slurm(tree, []).status == 64)
    }
}
