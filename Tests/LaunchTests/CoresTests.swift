import Foundation
import TestSupport
import Testing

/// Which cores the ranks are bound to. A rank that shares its core with a stranger is half as fast; one that is not
/// bound is a few percent slower at most.
@Suite struct CoresTests {
    /// The CPUs of each rank that launch/local asks for; nil when it binds none.
    private func cores(_ tree: LaunchTree, call: Int = 0) throws -> [String]? {
        let arguments = try tree.calls()[call].arguments
        guard let start = arguments.firstIndex(of: tree.checkout + "/launch/on-cores") else { return nil }
        let end = try #require(arguments.firstIndex(of: "--"))
        #expect(arguments[end + 1] == tree.checkout + "/.build/release/swiftlet")
        return Array(arguments[(start + 1)..<end])
    }

    private func cores(
        _ options: [String], _ prepare: (LaunchTree) throws -> Void
    ) throws -> (cores: [String]?, outcome: Subprocess.Outcome) {
        let tree = try LaunchTree()
        try prepare(tree)
        let outcome = try tree.run("local", options + ["train"])
        #expect(outcome.status == 0, "\(outcome)")
        return (try cores(tree), outcome)
    }

    @Test func eachRankGetsCoresOfItsOwn() throws {
        #expect(try cores(["-n", "2", "-t", "2"]) { try $0.becomeMachine(cores: 8) }.cores == ["0,1", "2,3"])
        #expect(try cores(["-n", "1", "-t", "1"]) { try $0.becomeMachine(cores: 8) }.cores == ["0"])
    }

    @Test func hyperthreadTwinsBelongToOneCore() throws {
        let found = try cores([]) { try $0.becomeMachine(cores: 4, twins: 2) }
        #expect(found.cores == ["0,4", "1,5", "2,6", "3,7"])
    }

    @Test func aRankStaysInOneSocket() throws {
        let found = try cores(["-n", "2", "-t", "4"]) { try $0.becomeMachine(cores: 8, sockets: 2) }
        #expect(found.cores == ["0,2,4,6", "1,3,5,7"])
    }

    @Test func theAffinityMaskHolds() throws {
        #expect(try cores([]) { try $0.becomeMachine(cores: 8, allowed: "3,5-6") }.cores == ["3", "5"])
        // One twin of each core is allowed.
        #expect(
            try cores(["-t", "1"]) { try $0.becomeMachine(cores: 4, allowed: "4-5", twins: 2) }.cores == ["4", "5"])
    }

    @Test("L1: cores that are busy are left to whoever works there") func busyCores() throws {
        let found = try cores(["-n", "2", "-t", "1"]) {
            try $0.becomeMachine(cores: 4, twins: 2)
            // Core 0, and one twin of core 2.
            try $0.keepBusy([0, 4, 6], of: 8)
        }
        #expect(found.cores == ["1,5", "3,7"])
        let none = try cores(["-n", "3", "-t", "1"]) {
            try $0.becomeMachine(cores: 4)
            try $0.keepBusy([1, 2], of: 4)
        }
        #expect(none.cores == nil)
        #expect(none.outcome.launchLines.contains { $0.contains("other work is on these cores") }, "\(none.outcome)")
    }

    @Test("L1: two launches at once take different cores, a third none, and a core is free again with its run")
    func launchesAtOnce() throws {
        let tree = try LaunchTree(
            mpirun: """
                touch "$record/runs-$call"
                until [[ -e $record/end-$call ]]; do sleep 0.02; done
                """)
        try tree.becomeMachine(cores: 2)
        let options = ["-n", "1", "-t", "1", "train"]
        var runs: [Subprocess] = []
        for number in 1...3 {
            runs.append(try tree.start("local", options))
            #expect(waitUntil { tree.read("record/runs-\(number)") != nil })
        }
        #expect(try cores(tree, call: 0) == ["0"])
        #expect(try cores(tree, call: 1) == ["1"])
        #expect(try cores(tree, call: 2) == nil)
        try tree.write("record/end-1", "")
        #expect(runs[0].wait().status == 0)
        runs.append(try tree.start("local", options))
        #expect(waitUntil { tree.read("record/runs-4") != nil })
        #expect(try cores(tree, call: 3) == ["0"])
        for number in 2...4 { try tree.write("record/end-\(number)", "") }
        for run in runs { #expect(run.wait().status == 0) }
    }

    @Test("L1: -u binds nobody") func unbound() throws {
        #expect(try cores(["-u", "-n", "2"]) { try $0.becomeMachine(cores: 4) }.cores == nil)
    }

    @Test(
        "A container's share of time is no cores of its own",
        arguments: [
            // Version 2: seen from inside, from outside, and a limit above.
            ("0::/\n", ["cpu.max": "200000 100000\n"], 2), ("0::/\n", ["cpu.max": "150000 100000\n"], 2),
            ("0::/\n", ["cpu.max": "max 100000\n"], nil), ("0::/a/b\n", ["a/b/cpu.max": "100000 100000\n"], 1),
            ("0::/a/b\n", ["a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"], 2),
            ("0::/not/here\n", ["cpu.max": "100000 100000\n"], 1),
            // Of two limits the smaller one, whichever is nearer.
            ("0::/a/b\n", ["a/b/cpu.max": "200000 100000\n", "a/cpu.max": "500000 100000\n"], 2),
            ("0::/a/b\n", ["a/b/cpu.max": "500000 100000\n", "a/cpu.max": "200000 100000\n"], 2),
            // Version 1.
            (
                "3:cpuset:/\n2:cpu,cpuacct:/docker/x\n",
                ["cpu/docker/x/cpu.cfs_quota_us": "200000\n", "cpu/docker/x/cpu.cfs_period_us": "100000\n"], 2
            ), ("2:cpu,cpuacct:/\n", ["cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"], nil),
            // More than there are cores is no limit.
            ("0::/\n", ["cpu.max": "900000 100000\n"], nil),
        ] as [(String, [String: String], Int?)])
    func quotas(groups: String, files: [String: String], ranks: Int?) throws {
        let tree = try LaunchTree()
        try tree.becomeMachine(
            cores: 8, groups: groups,
            files: Dictionary(uniqueKeysWithValues: files.map { ("sys/fs/cgroup/" + $0.key, $0.value) }))
        #expect(try tree.run("local", ["train"]).status == 0)
        #expect(try tree.calls()[0].arguments[1] == "\(ranks ?? 8)")
        let cores = try cores(tree)
        #expect((cores == nil) == (ranks != nil))
    }

    @Test(arguments: ["taskset", "flock"]) func withoutTheToolsNobodyIsBound(missing: String) throws {
        let tree = try LaunchTree()
        try tree.becomeMachine(cores: 2)
        try tree.linkTools(["taskset", "flock"].filter { $0 != missing })
        let outcome = try tree.run(
            "local", ["-n", "1", "train"], environment: ["PATH": tree.path + "/bin:" + tree.path + "/tools"])
        #expect(outcome.status == 0, "\(outcome)")
        #expect(try cores(tree) == nil)
        #expect(!outcome.launchLines.contains { $0.contains("other work") }, "\(outcome)")
    }

    @Test func aMachineThatDoesNotTellItsCoresBindsNobody() throws {
        let found = try cores(["-n", "1", "-t", "1"]) {
            try $0.becomeMachine(cores: 2)
            try FileManager.default.removeItem(atPath: $0.path + "/machine/sys")
        }
        #expect(found.cores == nil)
    }

    @Test func onCoresRunsItsCommandOnThem() throws {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let allowed = try #require(status.firstMatch(of: /Cpus_allowed_list:\s+(\d+)/))
        let tree = try LaunchTree()
        let outcome = try tree.run(
            "on-cores",
            ["999", String(allowed.1), "--", "bash", "-c", "grep Cpus_allowed_list /proc/self/status; exit 75"],
            environment: ["OMPI_COMM_WORLD_LOCAL_RANK": "1"])
        #expect(outcome.status == 75, "\(outcome)")
        #expect(outcome.standardOutput == "Cpus_allowed_list:\t\(allowed.1)\n")
    }
}
