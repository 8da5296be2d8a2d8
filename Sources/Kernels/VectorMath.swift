/// Elementary functions on sixteen fp32 lanes.
///
/// Rounding adds 1.5 · 2²³ instead of calling `rounded()`, and maxima are a comparison and a blend (one vmaxps) instead
/// of `pointwiseMax`: both would split the vector into scalar code. All are transparent, since the optimiser does not
/// always follow `@inline(__always)` into specialised code, and a call passes a vector in four pieces.

@_transparent
func splat(_ value: Float) -> SIMD16<Float> { SIMD16(repeating: value) }

/// The larger of two numbers, lane by lane; of a NaN and a number, `b`.
@_transparent
func larger(_ a: SIMD16<Float>, _ b: SIMD16<Float>) -> SIMD16<Float> { b.replacing(with: a, where: a .> b) }

/// The smaller of two numbers, lane by lane; of a NaN and a number, `b`.
@_transparent
func smaller(_ a: SIMD16<Float>, _ b: SIMD16<Float>) -> SIMD16<Float> { b.replacing(with: a, where: a .< b) }

/// e^x to 1 ULP for −87 ≤ x ≤ 88; below that a number under 1.7e-38, above it the value at 88. NaN stays NaN.
@_transparent
package func exponential(_ x: SIMD16<Float>) -> SIMD16<Float> {
    let clamped = smaller(splat(88.3), larger(splat(-87.3), x))
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

/// √x to 1 ULP for finite x ≥ 0. `squareRoot()` would become sixteen scalar roots.
@_transparent
package func squareRoot(_ x: SIMD16<Float>) -> SIMD16<Float> {
    // 1/√x from the halved exponent, three steps of Newton's, then one correction of the root itself. Each product is
    // ordered so that it stays in range from 0 up to the largest number.
    let bits = SIMD16<UInt32>(repeating: 0x5f37_5a86) &- (unsafeBitCast(x, to: SIMD16<UInt32>.self) &>> 1)
    var r = unsafeBitCast(bits, to: SIMD16<Float>.self)
    let half = x * splat(0.5)
    r *= splat(1.5).addingProduct(half * r, splat(0) - r)
    r *= splat(1.5).addingProduct(half * r, splat(0) - r)
    r *= splat(1.5).addingProduct(half * r, splat(0) - r)
    let root = x * r
    return root.addingProduct(x.addingProduct(root, splat(0) - root), r * splat(0.5))
}

/// The sum of the lanes, always in the same order.
@_transparent
func horizontalSum(_ v: SIMD16<Float>) -> Float {
    let a = v.lowHalf + v.highHalf
    let b = a.lowHalf + a.highHalf
    let c = b.lowHalf + b.highHalf
    return c.x + c.y
}

/// The largest lane.
@_transparent
func horizontalMax(_ v: SIMD16<Float>) -> Float {
    let a = v.highHalf.replacing(with: v.lowHalf, where: v.lowHalf .> v.highHalf)
    let b = a.highHalf.replacing(with: a.lowHalf, where: a.lowHalf .> a.highHalf)
    let c = b.highHalf.replacing(with: b.lowHalf, where: b.lowHalf .> b.highHalf)
    return c.x > c.y ? c.x : c.y
}
