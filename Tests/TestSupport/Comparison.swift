/// How far `actual` is from `expected`: the Frobenius norm of the difference over that of `expected`.
///
/// Infinite when the counts differ, a value is not finite, or `expected` is zero and `actual` is not.
package func relativeError(_ actual: [Double], _ expected: [Double]) -> Double {
    guard actual.count == expected.count else { return .infinity }
    var difference = 0.0
    var norm = 0.0
    for (a, e) in zip(actual, expected) {
        difference += (a - e) * (a - e)
        norm += e * e
    }
    guard difference.isFinite, norm.isFinite else { return .infinity }
    if difference == 0 { return 0 }
    return (difference / norm).squareRoot()
}

/// The same for fp32 values.
package func relativeError(_ actual: [Float], _ expected: [Double]) -> Double {
    relativeError(actual.map(Double.init), expected)
}

/// The largest difference over the largest magnitude of `expected`; infinite as `relativeError` is.
package func largestError(_ actual: [Double], _ expected: [Double]) -> Double {
    guard actual.count == expected.count else { return .infinity }
    var difference = 0.0
    var largest = 0.0
    for (a, e) in zip(actual, expected) {
        guard a.isFinite, e.isFinite else { return .infinity }
        difference = max(difference, (a - e).magnitude)
        largest = max(largest, e.magnitude)
    }
    return difference == 0 ? 0 : difference / largest
}

/// The same for fp32 values.
package func largestError(_ actual: [Float], _ expected: [Double]) -> Double {
    largestError(actual.map(Double.init), expected)
}

/// How far `actual` is from `expected` in size alone: the factor of `expected` that comes nearest to `actual`, less 1.
///
/// Roundings that know nothing of each other leave little of it, so it shows a wrong factor that hides among them.
package func scaleError(_ actual: [Float], _ expected: [Double]) -> Double {
    guard actual.count == expected.count else { return .infinity }
    var product = 0.0
    var square = 0.0
    for (a, e) in zip(actual, expected) {
        product += Double(a) * e
        square += e * e
    }
    let error = (product / square - 1).magnitude
    return error.isFinite ? error : .infinity
}
