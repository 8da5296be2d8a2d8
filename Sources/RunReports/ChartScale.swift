import Basics
import Glibc

/// Takes the values of a range to 0 … 1, evenly or by their logarithms. The same arithmetic as in `report.js`.
package struct ChartScale {
    /// What is taken to 0.
    package let low: Double
    /// What is taken to 1.
    package let high: Double
    /// Whether by logarithms.
    package let isLog: Bool

    /// A range without width gets some around it. Logarithms are for ranges above zero.
    package init(_ low: Double, _ high: Double, isLog: Bool = false) {
        self.isLog = isLog && low > 0
        if high > low {
            (self.low, self.high) = (low, high)
        } else if self.isLog {
            (self.low, self.high) = (low / 2, low * 2)
        } else {
            let half = (low == 0 ? 1 : low.magnitude) / 2
            (self.low, self.high) = (low - half, low + half)
        }
    }

    private func bent(_ value: Double) -> Double { isLog ? log10(value) : value }

    /// Where a value lies, 0 at the low end and 1 at the high one. Not finite for what has no place.
    package func share(_ value: Double) -> Double { (bent(value) - bent(low)) / (bent(high) - bent(low)) }

    /// About `count` round values of the range.
    package func ticks(_ count: Int) -> [Double] {
        let decades = isLog ? log10(high) - log10(low) : 0
        if decades > 0.9 {
            let factors = decades < 1.6 ? [1.0, 2, 3, 5] : decades < Double(count) / 2 ? [1, 3] : [1]
            let every = max(1, Int((decades / Double(count)).rounded(.up)))
            return (Int(log10(low).rounded(.down))...Int(log10(high).rounded(.down))).filter { $0 % every == 0 }
                .flatMap { power in factors.map { $0 * pow(10, Double(power)) } }
                .filter { $0 >= low && $0 <= high }
        }
        let rough = (high - low) / Double(max(1, count))
        let power = pow(10, log10(rough).rounded(.down))
        let step = ([1.0, 2, 5].first { $0 * power >= rough } ?? 10) * power
        let (first, last) = ((low / step).rounded(.up), (high / step).rounded(.down))
        guard first <= last, last - first < 1000 else { return [] }
        return (0...Int(last - first)).map { (first + Double($0)) * step }
    }
}

/// A number for an axis: few digits, and k, M, G for large ones.
package func shortNumber(_ value: Double) -> String {
    let size = value.magnitude
    if size == 0 { return "0" }
    func digits(_ value: Double) -> String {
        let text = fixed(value, max(0, 4 - Int(log10(value.magnitude).rounded(.down))))
        guard text.contains(".") else { return text }
        let end = text.lastIndex { $0 != "0" } ?? text.startIndex
        return String(text[end] == "." ? text[..<end] : text[...end])
    }
    for (unit, name) in [(1e12, "T"), (1e9, "G"), (1e6, "M")] where size >= unit { return digits(value / unit) + name }
    if size >= 1e4 { return digits(value / 1e3) + "k" }
    if size >= 1e-3 { return digits(value) }
    let power = Int(log10(size).rounded(.down))
    return digits(value / pow(10, Double(power))) + "e\(power)"
}
