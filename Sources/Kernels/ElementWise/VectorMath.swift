import CInstructions

/// Elementary functions on sixteen fp32 lanes.
///
/// Maxima are a comparison and a blend (one vmaxps) instead of `pointwiseMax`, which would split the vector into scalar
/// code. All are transparent, since the optimiser does not always follow `@inline(__always)` into specialised code, and
/// a call passes a vector in four pieces.

@_transparent
func splat(_ value: Float) -> SIMD16<Float> { SIMD16(repeating: value) }

/// The larger of two numbers, lane by lane; of a NaN and a number, `b`.
@_transparent
func larger(_ a: SIMD16<Float>, _ b: SIMD16<Float>) -> SIMD16<Float> { b.replacing(with: a, where: a .> b) }

/// 2^x: relative error below 2e-7 of normal results. From 2^128 on infinite, below 2^−150 zero; NaN stays NaN.
@_transparent
package func exponential2(_ x: SIMD16<Float>) -> SIMD16<Float> {
    let r = instructions_fraction(x)
    // The polynomial of degree 5 through 1 whose largest relative error from 2^r on 0 ≤ r < 1 is least: 8.2e-8.
    var p = splat(0.001_867_130_3)
    p = splat(0.009_017_03).addingProduct(p, r)
    p = splat(0.055_799_913).addingProduct(p, r)
    p = splat(0.240_164_44).addingProduct(p, r)
    p = splat(0.693_151_3).addingProduct(p, r)
    p = splat(1).addingProduct(p, r)
    return instructions_scale(p, x)
}

/// log₂ e: e^x = 2^(x · `log2e`).
@_transparent
var log2e: Float { 1.442_695_04 }

/// e^x with the error of `exponential2` and of rounding x · log₂ e, half a ULP of the exponent.
@_transparent
package func exponential(_ x: SIMD16<Float>) -> SIMD16<Float> { exponential2(x * splat(log2e)) }

/// tanh x and its slope 1 − tanh² x: relative errors below 1e-6 and, for |x| < 10, below 2e-6. NaN stays NaN.
@_transparent
package func hyperbolicTangent(_ x: SIMD16<Float>) -> (value: SIMD16<Float>, slope: SIMD16<Float>) {
    let sign = splat(1).replacing(with: splat(-1), where: x .< splat(0))
    // With E = e^(2|x|) − 1 = 2^y − 1: tanh |x| = E / (E + 2), and the slope is 4 (E + 1) / (E + 2)²; neither cancels. The
    // limit keeps the square finite, far behind the last |x| whose tanh is not 1.
    let scaled = x * sign * splat(2 * log2e)
    let y = scaled.replacing(with: splat(60), where: scaled .> splat(60))
    let r = instructions_fraction(y)
    // 2^r − 1 = r · q, so that small r keep their digits; q, of degree 5, has a relative error below 3e-8.
    var q = splat(0.000_207_455_77)
    q = splat(0.001_271_005_7).addingProduct(q, r)
    q = splat(0.009_650_651).addingProduct(q, r)
    q = splat(0.055_496_566).addingProduct(q, r)
    q = splat(0.240_227_13).addingProduct(q, r)
    q = splat(0.693_147_2).addingProduct(q, r)
    // With y = n + r: 2^y − 1 = 2^n · (2^r − 1) + (2^n − 1).
    let e = instructions_scale(r * q, y) + (instructions_scale(splat(1), y) - splat(1))
    let inverse = splat(1) / (e + splat(2))
    return (e * inverse * sign, splat(4) * (e + splat(1)) * inverse * inverse)
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

/// The CPU features that this module is compiled for, as `missingProcessorFeatures` wants them. A constant: no
/// instruction of theirs is used to get it.
package func compiledProcessorFeatures() -> UnsafePointer<CChar> { instructions_compiled_features() }
