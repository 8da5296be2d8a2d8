extension Machine {
    /// What the processor calls itself, such as `AMD EPYC 9454`; nil where the system does not say.
    package var processorName: String? {
        let line = lines("/proc/cpuinfo").first { $0.hasPrefix("model name") }
        let name = line?.split(separator: ":", maxSplits: 1).last.map { $0.drop { $0 == " " } }
        return name.flatMap { $0.isEmpty ? nil : String($0) }
    }
}
