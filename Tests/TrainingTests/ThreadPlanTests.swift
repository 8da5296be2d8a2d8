import Basics
import Foundation
import Testing
import Training

/// Threads of a rank, on machines made of files.
@Suite struct ThreadPlanTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// Eight processors, two to a core, of which `allowed` may be used.
    private func machine(allowed: String, quota: String = "max") throws -> Machine {
        var files = [
            "proc/self/status": "Cpus_allowed_list:\t\(allowed)\n", "sys/devices/system/cpu/online": "0-7\n",
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            "sys/fs/cgroup/cpu.max": "\(quota) 100000\n",
        ]
        for processor in 0..<8 {
            files["sys/devices/system/cpu/cpu\(processor)/topology/thread_siblings_list"] =
                "\(processor / 2 * 2)-\(processor / 2 * 2 + 1)\n"
        }
        for (path, text) in files {
            let url = URL(fileURLWithPath: directory.file(path))
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
        return Machine(root: directory.path)
    }

    @Test(
        "P8: threads by default are cores, shared by the ranks of a host, within the quota",
        arguments: [
            ("0-7", "max", 1, 4), ("0-7", "max", 2, 2), ("0-7", "max", 16, 1), ("0-3", "max", 2, 2),
            ("2", "max", 2, 1), ("0-7", "250000", 1, 2), ("0-7", "250000", 2, 1), ("0-7", "10000", 1, 1),
            ("0-3", "100000", 2, 1),
        ])
    func defaults(allowed: String, quota: String, ranks: Int, threads: Int) throws {
        let plan = try ThreadPlan(requested: nil, ranksOnHost: ranks, machine: machine(allowed: allowed, quota: quota))
        #expect(plan.threads == threads)
    }

    @Test("P8, H2: more threads than there are is a warning that says what to do")
    func advice() throws {
        func advice(_ requested: Int?, ranks: Int = 1, _ allowed: String, _ quota: String = "max") throws -> String {
            try ThreadPlan(
                requested: requested, ranksOnHost: ranks, machine: machine(allowed: allowed, quota: quota)
            ).advice ?? ""
        }
        #expect(try advice(8, "0-7") == "")
        #expect(try advice(9, "0-7").contains("9 threads on 8 allowed processors"))
        #expect(try advice(9, "0-7").contains("use --threads 4"))
        #expect(try advice(3, "0,1").contains("--bind-to none"))
        #expect(try advice(4, "0-7", "250000").contains("2.5 processors"))
        #expect(try advice(4, "0-7", "250000").contains("use --threads 2"))
        #expect(try advice(2, "0-7", "250000") == "")
        #expect(try advice(1, ranks: 4, "0-7", "250000").contains("start fewer ranks here"))
        #expect(try advice(nil, ranks: 2, "0,1").contains("4 stay idle"))
        #expect(try advice(4, ranks: 4, "0-7").contains("use --threads 2"))
        #expect(try advice(nil, ranks: 9, "0-7").contains("start at most 8 ranks here"))
    }

    @Test("H2: a number of threads that no rank can have is an error", arguments: [0, -1, 1025, 1_000_000, Int.max])
    func impossible(threads: Int) throws {
        let error = try #require(throws: ExitError.self) {
            try ThreadPlan(requested: threads, ranksOnHost: 1, machine: machine(allowed: "0-7"))
        }
        #expect(error.exitCode == .usage && error.description.contains("1 to 1024"))
    }
}
