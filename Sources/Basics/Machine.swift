import CLinux

/// What this process may use of the machine it runs on, as Linux shows it in files: processors and memory, with the
/// limits of control groups (version 1 and 2) and of the shell.
package struct Machine: Sendable {
    /// Room for memory, and whose word that is.
    package struct Room: Sendable, Equatable {
        /// Bytes that are left.
        package let bytes: Int
        /// What leaves no more, for messages.
        package let source: String
        /// Whether all processes of this host share it.
        package let isShared: Bool
    }

    let root: String

    /// - Parameter root: where `/proc` and `/sys` are; tests have some of their own.
    package init(root: String = "") { self.root = root }

    // MARK: Processors

    /// Processors that this process may run on: its affinity mask.
    package var allowedProcessors: Int { max(1, allowed.count) }

    /// Processors of the machine, or of the control group that this process is in.
    package var processors: Int {
        let inGroups = (groups("cpuset") + groups("")).compactMap { folder in
            ["cpuset.cpus.effective", "cpuset.effective_cpus"].lazy.compactMap { text(folder + $0) }.first
        }
        let list = inGroups.first { !$0.isEmpty } ?? text("/sys/devices/system/cpu/online") ?? ""
        return max(allowedProcessors, processorList(list).count)
    }

    /// Cores under the allowed processors: two hyperthreads of one core count once.
    package var allowedCores: Int {
        let cores = allowed.map { processor in
            text("/sys/devices/system/cpu/cpu\(processor)/topology/thread_siblings_list") ?? "\(processor)"
        }
        return max(1, Set(cores).count)
    }

    /// How many processors' time the control groups give to all of their processes together; nil without a quota.
    package var quota: Double? {
        let version2 = groups("").compactMap { folder -> Double? in
            let numbers = (text(folder + "cpu.max") ?? "").split(separator: " ").compactMap { Double($0) }
            return numbers.count == 2 ? numbers[0] / numbers[1] : nil
        }
        let version1 = groups("cpu").compactMap { folder -> Double? in
            guard let quota = number(folder + "cpu.cfs_quota_us"), let period = number(folder + "cpu.cfs_period_us")
            else { return nil }
            return Double(quota) / Double(period)
        }
        return (version1 + version2).filter { $0.isFinite && $0 > 0 }.min()
    }

    /// Threads that find a core each: those of the affinity mask, or fewer where the quota pays for fewer.
    package var usableThreads: Int { min(allowedCores, max(1, Int(min(quota ?? 1e9, 1e9)))) }

    // MARK: Memory

    /// What limits the memory of this process, now.
    package var memoryRooms: [Room] {
        var rooms: [Room] = []
        if let available = field("MemAvailable:", of: "/proc/meminfo") {
            rooms.append(Room(bytes: available, source: "MemAvailable of /proc/meminfo", isShared: true))
        }
        for (controller, limit, usage, inactive) in [
            ("", "memory.max", "memory.current", "inactive_file"),
            ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ] {
            for folder in groups(controller) {
                guard let most = number(folder + limit) else { continue }
                // File contents that nobody uses are given back as soon as memory is needed.
                let used = (number(folder + usage) ?? 0) - (field(inactive, of: folder + "memory.stat") ?? 0)
                rooms.append(
                    Room(bytes: max(0, most - max(0, used)), source: "the limit \(folder)\(limit)", isShared: true))
            }
        }
        if let most = field("Max address space", of: "/proc/self/limits") {
            let used = field("VmSize:", of: "/proc/self/status") ?? 0
            rooms.append(Room(bytes: max(0, most - used), source: "ulimit -v", isShared: false))
        }
        return rooms
    }

    // MARK: Files

    private var allowed: [Int] { processorList(value(of: "Cpus_allowed_list:", in: "/proc/self/status") ?? "") }

    /// The folders of this process's control group and of all above it, each with a slash at its end; `controller` is
    /// empty for version 2.
    private func groups(_ controller: String) -> [String] {
        // 4:memory:/a/b, and 0::/a/b for version 2.
        let paths = lines("/proc/self/cgroup").compactMap { line -> String? in
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { return nil }
            let isRight =
                controller.isEmpty ? parts[1].isEmpty : parts[1].split(separator: ",").contains(controller[...])
            return isRight ? String(parts[2]) : nil
        }
        guard let path = paths.first, let mount = mount(controller) else { return [] }
        // Inside a container the mount may show a part of the hierarchy alone.
        var names = path.split(separator: "/")
        let shown = mount.root.split(separator: "/")
        if names.starts(with: shown) { names.removeFirst(shown.count) }
        return (0...names.count).reversed().map { ([mount.folder] + names.prefix($0)).joined(separator: "/") + "/" }
    }

    /// Where a hierarchy is mounted and what of it.
    private func mount(_ controller: String) -> (folder: Substring, root: Substring)? {
        for line in lines("/proc/self/mountinfo") {
            // number parent device root folder options … - type source options
            let words = line.split(separator: " ")
            guard let dash = words.lastIndex(of: "-"), words.count > dash + 3, dash > 4 else { continue }
            let isRight =
                controller.isEmpty
                ? words[dash + 1] == "cgroup2"
                : words[dash + 1] == "cgroup" && words[dash + 3].split(separator: ",").contains(controller[...])
            if isRight { return (words[4], words[3]) }
        }
        return nil
    }

    /// The numbers of a list such as `0-3,8`.
    private func processorList(_ text: String) -> [Int] {
        text.split(separator: ",").flatMap { part -> [Int] in
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, first <= last, last < 1 << 20 else { return [] }
            return Array(first...last)
        }
    }

    /// What follows a name in a file of named lines.
    private func value(of name: String, in path: String) -> String? {
        lines(path).first { $0.hasPrefix(name) }.map { line in
            String(line.dropFirst(name.utf8.count).drop { $0 == " " || $0 == "\t" })
        }
    }

    /// The first number that follows a name, in bytes where the file counts in kB; nil for `unlimited`.
    private func field(_ name: String, of path: String) -> Int? {
        let words = (value(of: name, in: path) ?? "").split(whereSeparator: { $0 == " " || $0 == "\t" })
        guard let word = words.first, let number = Int(word) else { return nil }
        return words.count > 1 && words[1] == "kB" ? number.multipliedReportingOverflow(by: 1024).partialValue : number
    }

    private func number(_ path: String) -> Int? { text(path).flatMap { Int($0) } }

    private func text(_ path: String) -> String? { lines(path).first.map(String.init) }

    /// The lines of a small file; none where it cannot be read.
    func lines(_ path: String) -> [Substring] {
        let bytes = (try? InputFile(FilePath(root + path)).availableBytes(1 << 20, at: 0)) ?? []
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    }
}

/// Those of the CPU features in `needed`, names as in `/proc/cpuinfo` with blanks between, that this machine lacks; nil
/// when it has them all.
///
/// The work is done in C: generic code of the Swift library may be shared with a module that was compiled for the very
/// features in question.
package func missingProcessorFeatures(
    of needed: UnsafePointer<CChar>, cpuinfo: String = "/proc/cpuinfo"
) -> String? {
    var missing = [CChar](repeating: 0, count: 1024)
    guard linux_missing_cpu_features(cpuinfo, needed, &missing, missing.count) else { return nil }
    return String(decoding: missing.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
