import Basics
import Testing

/// What a process may use, read from files that stand for those of other machines.
@Suite struct MachineTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// A machine of these files.
    private func machine(_ files: [String: String]) throws -> Machine {
        let system = LocalFileSystem()
        for (path, text) in files {
            let file = FilePath(directory.path.string + path)
            try system.makeDirectories(file.removingLastComponent())
            try system.replaceFile(file, with: Array(text.utf8))
        }
        return Machine(root: directory.path.string)
    }

    private static let status =
        "Name:\tswiftlet\nVmSize:\t  300000 kB\nCpus_allowed:\tff\nCpus_allowed_list:\t0-3,8-11\n"
    /// Four cores of two hyperthreads each: 0 and 8 are one, 1 and 9 …
    private static func siblings(_ pairs: [(Int, Int)]) -> [String: String] {
        var files: [String: String] = [:]
        for (a, b) in pairs {
            for processor in [a, b] {
                files["/sys/devices/system/cpu/cpu\(processor)/topology/thread_siblings_list"] = "\(a),\(b)\n"
            }
        }
        return files
    }
    private static let version2 =
        "22 27 0:21 / /proc rw - proc proc rw\n30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
    private static let version1 = """
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
        33 31 0:29 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset

        """

    @Test("P8: two hyperthreads of one core count once, and only the allowed ones count")
    func cores() throws {
        let files = ["/proc/self/status": Self.status, "/sys/devices/system/cpu/online": "0-15\n"]
        #expect(try machine(files).allowedProcessors == 8)
        #expect(try machine(files).allowedCores == 8, "without a word on siblings, each is a core")
        let four = try machine(Self.siblings((0..<8).map { ($0, $0 + 8) }))
        #expect(four.allowedCores == 4 && four.allowedProcessors == 8 && four.processors == 16)
        #expect(four.usableThreads == 4)
    }

    @Test("P8: a quota of control groups, version 2, of this group or one above it")
    func quotaOfVersion2() throws {
        let files = [
            "/proc/self/status": Self.status, "/proc/self/cgroup": "0::/jobs/one\n",
            "/proc/self/mountinfo": Self.version2, "/sys/fs/cgroup/jobs/one/cpu.max": "max 100000\n",
        ]
        #expect(try machine(files).quota == nil)
        #expect(try machine(["/sys/fs/cgroup/jobs/cpu.max": "250000 100000\n"]).quota == 2.5)
        #expect(try machine([:]).usableThreads == 2)
        #expect(try machine(["/sys/fs/cgroup/jobs/one/cpu.max": "50000 100000\n"]).quota == 0.5)
        #expect(try machine([:]).usableThreads == 1, "never none")
    }

    @Test("P8: a quota of control groups, version 1, also where a container shows a part of them")
    func quotaOfVersion1() throws {
        let files = [
            "/proc/self/status": Self.status,
            "/proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n",
            "/proc/self/mountinfo": Self.version1, "/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "-1\n",
            "/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
        ]
        #expect(try machine(files).quota == nil)
        #expect(
            try machine(["/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "300000\n"]).quota == 3)
        // Inside the container the group is what is mounted.
        let inside = try machine([
            "/proc/self/mountinfo": "32 31 0:29 /docker/abc /cgroup ro - cgroup cgroup rw,cpu,cpuacct\n",
            "/cgroup/cpu.cfs_quota_us": "150000\n", "/cgroup/cpu.cfs_period_us": "100000\n",
        ])
        #expect(inside.quota == 1.5)
    }

    @Test("P8: the processors of a container are those of its control group")
    func processorsOfAGroup() throws {
        let files = [
            "/proc/self/status": Self.status, "/sys/devices/system/cpu/online": "0-63\n",
            "/proc/self/cgroup": "3:cpuset:/pod\n0::/pod\n", "/proc/self/mountinfo": Self.version1 + Self.version2,
        ]
        #expect(try machine(files).processors == 64)
        #expect(try machine(["/sys/fs/cgroup/cpuset/pod/cpuset.effective_cpus": "0-9\n"]).processors == 10)
        #expect(
            try machine([
                "/proc/self/cgroup": "0::/pod\n", "/sys/fs/cgroup/pod/cpuset.cpus.effective": "0-3,8-13\n",
            ]).processors == 10)
    }

    @Test("T1, T4: the room for memory: of the machine, of control groups, of the shell")
    func memory() throws {
        let rooms = try machine([
            "/proc/meminfo": "MemTotal:   1000 kB\nMemAvailable:   700 kB\n", "/proc/self/status": Self.status,
            "/proc/self/limits":
                "Limit      Soft Limit  Hard Limit  Units\nMax address space  unlimited unlimited bytes\n",
        ]).memoryRooms
        #expect(rooms.map(\.bytes) == [700 << 10] && rooms[0].source == "MemAvailable of /proc/meminfo")

        let limited = try machine([
            "/proc/self/limits":
                "Max cpu time  unlimited unlimited seconds\nMax address space  400000000 500000000 bytes\n",
            "/proc/self/cgroup": "0::/a/b\n", "/proc/self/mountinfo": Self.version2,
            "/sys/fs/cgroup/a/b/memory.max": "max\n", "/sys/fs/cgroup/a/memory.max": "5000\n",
            "/sys/fs/cgroup/a/memory.current": "3000\n", "/sys/fs/cgroup/a/memory.stat": "anon 9\ninactive_file 1200\n",
        ]).memoryRooms
        #expect(limited.map(\.bytes) == [700 << 10, 3200, 400_000_000 - 300_000 << 10])
        #expect(limited.map(\.isShared) == [true, true, false])
        #expect(limited[1].source.contains("/sys/fs/cgroup/a/memory.max") && limited[2].source == "ulimit -v")

        let old = try machine([
            "/proc/self/cgroup": "4:memory:/a\n", "/proc/self/mountinfo": Self.version1,
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "8000\n",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes": "9000\n",
        ]).memoryRooms
        #expect(old.map(\.bytes) == [700 << 10, 9_223_372_036_854_771_712, 0, 400_000_000 - 300_000 << 10])
        // Version 1 counts the groups below this one in the lines that say so; more than is used is never given back.
        for (inactive, room) in [(1500, 500), (99_999, 8000)] {
            let text = "inactive_file 1\ntotal_inactive_file \(inactive)\n"
            #expect(try machine(["/sys/fs/cgroup/memory/memory.stat": text]).memoryRooms[2].bytes == room)
        }
    }

    /// Nothing there, nonsense there: numbers that do no harm.
    @Test func withoutFiles() throws {
        #expect(try machine([:]).allowedProcessors == 1)
        let odd = try machine([
            "/proc/self/status": "Cpus_allowed_list:\t9-3,x,5-,18446744073709551616\nVmSize:\n",
            "/proc/self/cgroup": "what\n::\n0:/\n0::/../..\n",
            "/proc/self/mountinfo": "1 2 - cgroup2\n" + Self.version2,
            "/sys/fs/cgroup/cpu.max": "100000 0\n", "/sys/fs/cgroup/memory.max": "-5\n",
            "/proc/meminfo": "MemAvailable:\n",
            "/proc/self/limits": "Max address space\n",
        ])
        #expect(odd.allowedProcessors == 1 && odd.processors == 1 && odd.usableThreads == 1 && odd.quota == nil)
        #expect(odd.memoryRooms.allSatisfy { $0.bytes == 0 })
    }

    @Test("This machine has processors and memory") func here() {
        let machine = Machine()
        #expect((1...machine.allowedProcessors).contains(machine.allowedCores))
        #expect(machine.processors >= machine.allowedProcessors && machine.usableThreads >= 1)
        #expect(machine.memoryRooms.contains { $0.bytes > 1 << 20 })
    }

    @Test("T5: what the code was compiled for and this CPU lacks is named")
    func missingFeatures() throws {
        let cpuinfo = directory.path.string + "/cpuinfo"
        func missing(_ needed: String, flags: String) throws -> String? {
            _ = try machine(["/cpuinfo": "processor\t: 0\nvendor_id\t: x\n\(flags)\nflags\t\t: all of them avx512f\n"])
            return needed.withCString { missingProcessorFeatures(of: $0, cpuinfo: cpuinfo) }
        }
        let flags = "flags\t\t: fpu sse avx avx2 avx512f"
        #expect(try missing("", flags: flags) == nil)
        #expect(try missing("avx avx512f fpu ", flags: flags) == nil)
        #expect(try missing("avx avx512_bf16 avx51 fpu2 ", flags: flags) == "avx512_bf16, avx51, fpu2")
        #expect(try missing("avx512_bf16 ", flags: "no flags here") == "avx512_bf16", "the next line of flags counts")
        #expect("avx".withCString { missingProcessorFeatures(of: $0, cpuinfo: "/nowhere") } == nil)
    }

    @Test("H1: the stopped ranks of a launcher") func stoppedChildren() throws {
        let machine = try machine([
            "/proc/30/stat": "30 (swiftlet) T 7 30 1", "/proc/30/environ": "A=1\0RANK=2\0B=",
            "/proc/4/stat": "4 (odd) S 7 (name) T 7 30 1", "/proc/4/environ": "RANK=11\0",
            "/proc/31/stat": "31 (swiftlet) S 7 30 1", "/proc/31/environ": "RANK=3\0",
            "/proc/32/stat": "32 (swiftlet) T 8 30 1", "/proc/32/environ": "RANK=4\0",
            "/proc/33/stat": "33 (sleep) T 7 30 1", "/proc/33/environ": "XRANK=5\0", "/proc/stat": "34 (x) T 7",
        ])
        let found = machine.stoppedChildren(of: 7, variable: "RANK")
        #expect(found.map(\.process) == [4, 30] && found.map(\.value) == ["11", "2"])
    }
}
