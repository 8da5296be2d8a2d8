/// How long the steps of a run take, evaluations and saves between them included.
package struct Pace: Sendable {
    /// Newest steps that count.
    package static let window = 128
    /// Seconds of the newest steps, in no order.
    private var times: [Double] = []
    private var next = 0
    /// Seconds between steps, and how many such gaps they are of.
    private var gaps = (seconds: 0.0, count: 0)
    private var newest: Double?

    package init() {}

    /// Adds a step.
    /// - Parameters:
    ///   - seconds: that it took.
    ///   - now: when it was over and what follows it done, in seconds of any clock.
    package mutating func add(seconds: Double, at now: Double) {
        if times.count < Self.window { times.append(seconds) } else { times[next] = seconds }
        next = (next + 1) % Self.window
        if let newest { gaps = (gaps.seconds + max(0, now - newest - seconds), gaps.count + 1) }
        newest = now
    }

    /// What a step takes with what lies between steps: the mean of the newest steps without their slowest and fastest
    /// tenth, and the mean of all gaps so far, which evaluations and saves are in. Nil before the first.
    package var secondsPerStep: Double? {
        guard !times.isEmpty else { return nil }
        let sorted = times.sorted()
        let cut = sorted.count / 10
        let middle = sorted[cut..<sorted.count - cut]
        let between = gaps.count > 0 ? gaps.seconds / Double(gaps.count) : 0
        return middle.reduce(0, +) / Double(middle.count) + between
    }
}
