/// What is kept of the lines of one part of `metrics.jsonl`: of each number the ends, the extremes and the mean.
struct Bucket: Sendable {
    /// What is kept of one number.
    struct Extent: Sendable {
        /// Finite values.
        private(set) var count = 0
        private(set) var sum = 0.0
        private(set) var (first, last, low, high) = (Point(), Point(), Point(), Point())
        /// The first step at which it was not finite, 0 for none.
        private(set) var missing: UInt32 = 0

        mutating func add(_ value: Double, at step: UInt32) {
            let point = Point(step: step, value: Float(value))
            guard point.value.isFinite else {
                if missing == 0 { missing = step }
                return
            }
            if count == 0 { (first, low, high) = (point, point, point) }
            if point.value < low.value { low = point }
            if point.value > high.value { high = point }
            last = point
            sum += value
            count += 1
        }
    }

    /// Lines with a step.
    private(set) var lines = 0
    private(set) var lastStep: UInt32 = 0
    /// At the last line.
    private(set) var tokens = 0.0
    /// Of all its steps.
    private(set) var seconds = 0.0
    /// In the order of `MetricField.charted`.
    private(set) var extents = [Extent](repeating: Extent(), count: MetricField.charted.count)

    /// Adds the line that was scanned last.
    /// - Returns: the milliseconds of the step, where it is one.
    mutating func add(_ line: borrowing LineScanner) -> Double? {
        guard let number = line.value(.step), number >= 1, number < 4e9 else { return nil }
        let step = UInt32(number)
        lines += 1
        lastStep = step
        tokens = line.value(.tokens) ?? tokens
        let milliseconds = line.value(.milliseconds) ?? 0
        if milliseconds.isFinite, milliseconds > 0 { seconds += milliseconds / 1000 }
        for index in extents.indices {
            if let value = line.value(MetricField.charted[index]) { extents[index].add(value, at: step) }
        }
        return milliseconds
    }
}

/// A number at a step.
package struct Point: Equatable, Sendable {
    /// From 1.
    package var step: UInt32 = 0
    /// The number there.
    package var value: Float = 0

    package init() {}

    init(step: UInt32, value: Float) {
        self.step = step
        self.value = value
    }
}

/// How often a step took how long: eight bins for each doubling, so a bin is 9 % wide.
package struct TimeHistogram: Equatable, Sendable {
    /// Bin i has times from about 2^(i/8 − 10) milliseconds on: a doubling is cut in eighths of equal width.
    package private(set) var counts = [UInt32](repeating: 0, count: 256)

    /// A time in milliseconds.
    mutating func add(_ milliseconds: Double) {
        let value = Float(milliseconds)
        guard value > 0, value.isFinite else { return }
        counts[min(255, max(0, Int(value.bitPattern >> 20) - Self.offset))] += 1
    }

    mutating func add(_ other: TimeHistogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
    }

    /// Where a bin begins, in milliseconds.
    package static func start(of bin: Int) -> Float { Float(bitPattern: UInt32(bin + offset) << 20) }

    /// The exponent of 2^−10 with three bits of fraction.
    private static let offset = (127 - 10) << 3

    /// The time that this share of the steps stays below, as the middle of its bin; nil without steps.
    package func quantile(_ share: Double) -> Double? {
        let total = counts.reduce(0.0) { $0 + Double($1) }
        guard total > 0 else { return nil }
        var below = 0.0
        for (bin, count) in counts.enumerated() where count > 0 {
            below += Double(count)
            if below >= share * total { return Double(Self.start(of: bin) + Self.start(of: bin + 1)) / 2 }
        }
        return nil
    }
}
