/// The losses of a run, thinned to a few points: each is the mean of equally many steps, more of them as the run goes on.
package struct LossHistory: Sendable {
    /// Points at most; half as many at least, once there are so many steps.
    package static let capacity = 60
    /// Mean losses, the oldest first.
    package private(set) var points: [Double] = []
    /// Steps of a point.
    package private(set) var stepsPerPoint = 1
    private var (sum, count) = (0.0, 0)

    package init() {}

    /// Adds a step's loss; one that is not finite is left out.
    package mutating func add(_ loss: Double) {
        guard loss.isFinite else { return }
        sum += loss
        count += 1
        guard count == stepsPerPoint else { return }
        points.append(sum / Double(count))
        (sum, count) = (0, 0)
        guard points.count == Self.capacity else { return }
        points = Self.means(points, of: 2)
        stepsPerPoint *= 2
    }

    private static func means(_ values: [Double], of count: Int) -> [Double] {
        stride(from: 0, to: values.count, by: count).map { start in
            let part = values[start..<min(start + count, values.count)]
            return part.reduce(0, +) / Double(part.count)
        }
    }

    /// One character a point, of eight heights, at most `columns` of them; neighbours are put together where there are more
    /// points. The highest tenth is cut off: a run begins so high that nothing else would be seen.
    package func sparkline(columns: Int) -> String {
        guard columns > 0, !points.isEmpty else { return "" }
        let shown = Self.means(points, of: (points.count - 1) / columns + 1)
        let sorted = shown.sorted()
        let (low, high) = (sorted[0], sorted[(sorted.count - 1) * 9 / 10])
        let heights = Array("▁▂▃▄▅▆▇█")
        return String(
            shown.map { high > low ? heights[min(7, Int(8 * (min($0, high) - low) / (high - low)))] : heights[0] })
    }
}
