import Foundation

extension LaunchTree {
    /// Lets the scripts see another machine than this one.
    ///
    /// - Parameters:
    ///   - allowed: the affinity mask, as the kernel lists it.
    ///   - twins: hyperthreads of a core: CPU c has the twins c, c + cores, c + 2 · cores …
    ///   - sockets: CPU c is in socket c mod `sockets`, as some machines number them.
    ///   - groups: /proc/self/cgroup.
    ///   - files: more files, by path.
    func becomeMachine(
        cores: Int, allowed: String? = nil, twins: Int = 1, sockets: Int = 1, groups: String = "0::/\n",
        files: [String: String] = [:]
    ) throws {
        try write(
            "machine/proc/self/status",
            "Name:\tbash\nCpus_allowed:\tff\nCpus_allowed_list:\t\(allowed ?? "0-\(cores * twins - 1)")\n")
        try write("machine/proc/self/cgroup", groups)
        try write("machine/proc/stat", "cpu  1 0 1 10 0 0 0 0 0 0\ncpu0 1 0 1 10 0 0 0 0 0 0\n")
        for cpu in 0..<cores * twins {
            let folder = "machine/sys/devices/system/cpu/cpu\(cpu)/topology/"
            let siblings = (0..<twins).map { "\(cpu % cores + $0 * cores)" }.joined(separator: ",")
            try write(folder + "thread_siblings_list", siblings + "\n")
            try write(folder + "physical_package_id", "\(cpu % cores % sockets)\n")
        }
        for (place, text) in files { try write("machine/" + place, text) }
        try edit("cores.sh", "\nroot=\"\"\n", "\nroot='\(path)/machine'\n")
    }

    /// These CPUs of the other machine are always busy.
    func keepBusy(_ cpus: [Int], of count: Int) throws {
        // 20 ticks between two looks, idle or not.
        let looks = (0..<2).map { look in
            (0..<count).map { cpu in
                cpus.contains(cpu)
                    ? "cpu\(cpu) \(20 * look) 0 0 50 0 0 0 0 0 0" : "cpu\(cpu) 0 0 0 \(20 * look) 0 0 0 0 0 0"
            }.joined(separator: "\n") + "\n"
        }
        for look in 0..<2 { try write("machine/look-\(look)", looks[look]) }
        try edit(
            "cores.sh", "cpu_times() { cat \"$root/proc/stat\"; }",
            """
            cpu_times() {
                local look=0
                if [[ -e $root/looked ]]; then look=1 && rm "$root/looked"; else touch "$root/looked"; fi
                cat "$root/look-$look"
            }
            """)
    }
}
