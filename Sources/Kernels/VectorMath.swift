/// Elementary functions on sixteen fp32 lanes.
///
/// Rounding adds 1.5 · 2²³ instead of calling `rounded()`, which would split the vector into scalar calls.

@inline(__always)
func splat(_ value: Float) -> SIMD16<Float> { SIMD16(repeating: value) }

/// e^x to 1 ULP for −87 ≤ x ≤ 88; below that a number under 1.7e-38, above it the value at 88. NaN for NaN and ±∞.
@inline(__always)
package func exponential(_ x: SIMD16<Float>) -> SIMD16<Float> {
    var clamped = pointwiseMin(pointwiseMax(x, splat(-87.3)), splat(88.3))
    // The two above turn a NaN into a limit, and a broken model's loss would look like a number.
    clamped.addProduct(x, splat(0))
    let magic = splat(12_582_912)
    let shifted = magic.addingProduct(clamped, splat(1.442_695_04))
    let n = shifted - magic
    // ln 2 in two parts, so that the remainder keeps its low bits.
    var r = clamped.addingProduct(n, splat(-0.693_359_375))
    r = r.addingProduct(n, splat(2.121_944_4e-4))
    // The polynomial of degree 6 through 1 + r whose largest relative error on |r| ≤ ½ ln 2 is least: 4e-9.
    var p = splat(0.001_381_432)
    p = splat(0.008_368_851).addingProduct(p, r)
    p = splat(0.041_668_4).addingProduct(p, r)
    p = splat(0.166_665_2).addingProduct(p, r)
    p = splat(0.499_999_94).addingProduct(p, r)
    p = splat(1).addingProduct(p, r)
    p = splat(1).addingProduct(p, r)
    let exponent = unsafeBitCast(shifted, to: SIMD16<UInt32>.self) &<< 23
    return unsafeBitCast(unsafeBitCast(p, to: SIMD16<UInt32>.self) &+ exponent, to: SIMD16<Float>.self)
}

/// The sum of the lanes, always in the same order.
@inline(__always)
func horizontalSum(_ v: SIMD16<Float>) -> Float {
    let a = v.lowHalf + v.highHalf
    let b = a.lowHalf + a.highHalf
    let c = b.lowHalf + b.highHalf
    return c.x + c.y
}

/// The largest lane.
@inline(__always)
func horizontalMax(_ v: SIMD16<Float>) -> Float {
    let a = pointwiseMax(v.lowHalf, v.highHalf)
    let b = pointwiseMax(a.lowHalf, a.highHalf)
    let c = pointwiseMax(b.lowHalf, b.highHalf)
    return max(c.x, c.y)
}
