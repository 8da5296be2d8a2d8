extension Machine {
    /// Bytes of this process that lie in memory now; nil where the system does not say.
    package var residentBytes: Int? { statusBytes("VmRSS:") }

    /// The most that `residentBytes` has been since this program began.
    package var peakResidentBytes: Int? { statusBytes("VmHWM:") }

    /// A number of kB in `/proc/self/status`.
    private func statusBytes(_ name: String) -> Int? {
        let line = lines("/proc/self/status").first { $0.hasPrefix(name) }
        let words = line?.split(whereSeparator: { $0 == " " || $0 == "\t" }) ?? []
        return words.count == 3 ? Int(words[1]).map { $0 * 1024 } : nil
    }
}
