import Kernels
import TestSupport
import Testing

/// A kernel's operand: a buffer of rounded numbers, and what they are exactly.
struct Operand<E: ActivationElement> {
    let buffer: Buffer<E>
    let values: [Double]

    /// Rounds `values` to `E`. The reference sees the rounded numbers too, so that only the kernel's own error counts.
    init(_ values: [Double], _: E.Type = E.self) throws {
        let rounded = values.map { E(rounding: Float($0)) }
        buffer = try Buffer(count: values.count)
        buffer.set(rounded)
        self.values = rounded.map { Double($0.float) }
    }

    var all: BufferSlice<E> { buffer.all }
}

extension Buffer where Element: ActivationElement {
    /// The elements as fp32.
    var floats: [Float] { array().map(\.float) }
}

/// The results of one run of a kernel by name.
typealias Results = [String: [Float]]

/// Runs a kernel with 1, 2 and 3 threads, expects the same bits from all, and returns the results of one thread.
func onEachThreadCount(
    _ comment: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: (Compute) throws -> Results
) throws -> Results {
    let results = try body(Compute(threadCount: 1))
    for threads in 2...3 {
        let others = try body(Compute(threadCount: threads))
        for (name, values) in results {
            let same = others[name]?.map(\.bitPattern) == values.map(\.bitPattern)
            #expect(same, "\(name) at \(threads) threads, \(comment)", sourceLocation: sourceLocation)
        }
    }
    return results
}

/// The error bound of one stored number: 0 for fp32, and 2⁻⁸ of the number, half of bf16's spacing, for bf16.
func storageError(_ precision: Precision) -> Double { precision == .bf16 ? 0x1p-8 : 0 }

/// Expects |actual − expected| ≤ `relative` · |expected| + `scaled` · (largest |expected|) + `absolute` of every element.
func expectClose(
    _ actual: [Float]?, _ expected: [Double], relative: Double = 0, scaled: Double = 3e-6,
    absolute: Double = 0, _ comment: String, sourceLocation: SourceLocation = #_sourceLocation
) {
    guard let actual, actual.count == expected.count else {
        Issue.record("\(comment): another number of elements", sourceLocation: sourceLocation)
        return
    }
    let largest = expected.reduce(0) { max($0, $1.magnitude) }
    var worst = (excess: -Double.infinity, index: 0)
    for (i, (a, e)) in zip(actual, expected).enumerated() {
        let excess = (Double(a) - e).magnitude - relative * e.magnitude - scaled * largest - absolute
        // Written so that a NaN is an excess.
        if !(excess <= worst.excess) { worst = (excess, i) }
        if excess.isNaN { break }
    }
    if expected.isEmpty || worst.excess <= 0 { return }
    Issue.record(
        "\(comment): excess \(worst.excess), element \(worst.index) is \(actual[worst.index]), expected \(expected[worst.index])",
        sourceLocation: sourceLocation)
}

/// Expects the same elements, and names the first that differs. `#expect(a == b)` would look for the shortest edit
/// between the two, which takes minutes for long arrays.
func expectSame<Element: Equatable>(
    _ actual: [Element]?, _ expected: [Element]?, _ comment: String, sourceLocation: SourceLocation = #_sourceLocation
) {
    guard let actual, let expected, actual.count == expected.count else {
        Issue.record("\(comment): another number of elements", sourceLocation: sourceLocation)
        return
    }
    guard let place = actual.indices.first(where: { actual[$0] != expected[$0] }) else { return }
    Issue.record(
        "\(comment): element \(place) is \(actual[place]), expected \(expected[place])", sourceLocation: sourceLocation)
}
