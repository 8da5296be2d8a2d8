// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// N: rows, H: columns (the inner size of the MLP).

/// What stands between the two linear layers of an MLP, under Hugging Face's names.
package enum Activation: String, CaseIterable, Sendable {
    /// x · Φ(x), Φ the normal distribution (Hendrycks & Gimpel 2016): nanoGPT's, and `torch.nn.GELU()`.
    case gelu
    /// GPT-2's: ½x(1 + tanh u) = x · σ(2u) with u = √(2/π) · (x + 0.044715 x³).
    case geluNew = "gelu_new"
    /// Another name of the same function: `torch.nn.GELU(approximate="tanh")`.
    case geluTanh = "gelu_pytorch_tanh"
    /// And another, with the constant cut after ten digits.
    case geluFast = "gelu_fast"
    /// max(0, x).
    case relu
    /// x · σ(x) (Elfwing et al. 2017).
    case silu
    /// max(0, x)² (So et al. 2021).
    case reluSquared = "relu2"

    /// `y` [N, H] of `x` [N, H].
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package func forward<E: ActivationElement>(_ pool: ThreadPool, _ x: BufferSlice<E>, into y: BufferSlice<E>) {
        switch self {
        case .gelu: ElementWise<ExactGELU, E>.forward(pool, x, into: y)
        case .geluNew, .geluTanh, .geluFast: ElementWise<TanhGELU, E>.forward(pool, x, into: y)
        case .relu: ElementWise<ReLU, E>.forward(pool, x, into: y)
        case .silu: ElementWise<SiLU, E>.forward(pool, x, into: y)
        case .reluSquared: ElementWise<SquaredReLU, E>.forward(pool, x, into: y)
        }
    }

    /// Turns `gradient` [N, H] of the output into that of the input `x`, in place; writes the output again to `y`
    /// (it is not kept since the forward pass) and the column sums of the new gradient to `biasGradient` [H]; nil: they
    /// are not needed, and `partials` neither.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package func backward<E: ActivationElement>(
        _ pool: ThreadPool, x: BufferSlice<E>, gradient: BufferSlice<E>, output y: BufferSlice<E>,
        biasGradient: BufferSlice<Float>?, partials: Partials, columns: Int
    ) {
        func run<F: ActivationFunction>(_: F.Type) {
            ElementWise<F, E>.backward(
                pool, x: x, gradient: gradient, output: y, biasGradient: biasGradient, partials: partials,
                columns: columns)
        }
        switch self {
        case .gelu: run(ExactGELU.self)
        case .geluNew, .geluTanh, .geluFast: run(TanhGELU.self)
        case .relu: run(ReLU.self)
        case .silu: run(SiLU.self)
        case .reluSquared: run(SquaredReLU.self)
        }
    }
}

/// A function of one number, on sixteen lanes.
protocol ActivationFunction {
    static func value(_ x: SIMD16<Float>) -> SIMD16<Float>
    static func valueAndSlope(_ x: SIMD16<Float>) -> (value: SIMD16<Float>, slope: SIMD16<Float>)
}

/// The two passes over a layer, with the function inside.
private enum ElementWise<F: ActivationFunction, E: ActivationElement> {
    static func forward(_ pool: ThreadPool, _ x: BufferSlice<E>, into y: BufferSlice<E>) {
        precondition(y.count >= x.count, "room for \(y.count) results of \(x.count)")
        pool.split(x.count, grain: 1024) { _, range in
            @inline(__always) func vector(_ i: Int, _ left: Int) {
                E.store(F.value(E.load(x.pointer + i, count: left)), to: y.pointer + i, count: left)
            }
            let full = range.lowerBound + range.count / 16 * 16
            for i in stride(from: range.lowerBound, to: full, by: 16) { vector(i, 16) }
            if full < range.upperBound { vector(full, range.upperBound - full) }
        }
    }

    static func backward(
        _ pool: ThreadPool, x: BufferSlice<E>, gradient: BufferSlice<E>, output y: BufferSlice<E>,
        biasGradient: BufferSlice<Float>?, partials: Partials, columns H: Int
    ) {
        let N = x.count / H
        precondition(
            min(gradient.count, y.count) >= N * H && biasGradient?.count ?? H >= H,
            "too little memory for [\(N), \(H)]")
        guard let biasGradient else {
            pool.split(N, grain: 8) { _, rows in
                for n in rows {
                    row(x.pointer + n * H, gradient.pointer + n * H, y.pointer + n * H, sums: nil, columns: H)
                }
            }
            return
        }
        partials.forEachRow(pool, rows: N, columns: H) { n, sums in
            row(x.pointer + n * H, gradient.pointer + n * H, y.pointer + n * H, sums: sums, columns: H)
        }
        partials.combine(rows: N, columns: H, from: 0, count: H, into: biasGradient)
    }

    @inline(__always)
    private static func row(
        _ x: UnsafePointer<E>, _ gradient: UnsafeMutablePointer<E>, _ y: UnsafeMutablePointer<E>,
        sums: UnsafeMutablePointer<Float>?, columns H: Int
    ) {
        @inline(__always) func vector(_ h: Int, _ left: Int) {
            let (value, slope) = F.valueAndSlope(E.load(x + h, count: left))
            E.store(value, to: y + h, count: left)
            let d = E.load(gradient + h, count: left) * slope
            E.store(d, to: gradient + h, count: left)
            if let sums { Float.store(Float.load(sums + h, count: left) + d, to: sums + h, count: left) }
        }
        let full = H / 16 * 16
        for h in stride(from: 0, to: full, by: 16) { vector(h, 16) }
        if full < H { vector(full, H - full) }
    }
}

enum TanhGELU: ActivationFunction {
    @_transparent
    static func value(_ x: SIMD16<Float>) -> SIMD16<Float> { x * sigmoid(x) }

    @_transparent
    static func valueAndSlope(_ x: SIMD16<Float>) -> (value: SIMD16<Float>, slope: SIMD16<Float>) {
        let s = sigmoid(x)
        let slope = splat(2 * 0.797_884_56).addingProduct(x * x, splat(6 * 0.797_884_56 * 0.044_715))
        return (x * s, s.addingProduct(x * s * (splat(1) - s), slope))
    }

    /// σ(2u).
    @_transparent
    private static func sigmoid(_ x: SIMD16<Float>) -> SIMD16<Float> {
        let slope = splat(-2 * 0.797_884_56 * log2e)
        let cubic = slope.addingProduct(x * x, splat(-2 * 0.797_884_56 * log2e * 0.044_715))
        return splat(1) / (splat(1) + exponential2(x * cubic))
    }
}

enum ExactGELU: ActivationFunction {
    @_transparent
    static func value(_ x: SIMD16<Float>) -> SIMD16<Float> { x * distribution(x).below }

    @_transparent
    static func valueAndSlope(_ x: SIMD16<Float>) -> (value: SIMD16<Float>, slope: SIMD16<Float>) {
        let (below, power) = distribution(x)
        // Φ + x · φ, where φ = e^(−x²/2) / √2π.
        return (x * below, below.addingProduct(x * splat(0.398_942_28), power))
    }

    /// Φ(x) and e^(−x²/2).
    @_transparent
    private static func distribution(_ x: SIMD16<Float>) -> (below: SIMD16<Float>, power: SIMD16<Float>) {
        let power = exponential2(x * x * splat(-0.5 * log2e))
        // Φ(−|x|) = ½ e^(−x²/2) · t · P(t) with t = 1 / (1 + 0.3 |x| / √2): the form of Abramowitz & Stegun 7.1.26. P, of
        // degree 8, is the one whose largest relative error over 0 ≤ |x| ≤ 14 is least: 2e-8.
        let magnitude = x.replacing(with: splat(0) - x, where: x .< splat(0))
        let t = splat(1) / splat(1).addingProduct(magnitude, splat(0.3 * 0.707_106_78))
        var p = splat(-0.129_520_55)
        p = splat(0.485_551_33).addingProduct(p, t)
        p = splat(-0.512_252_15).addingProduct(p, t)
        p = splat(0.547_688_07).addingProduct(p, t)
        p = splat(-0.094_626_54).addingProduct(p, t)
        p = splat(0.214_914_52).addingProduct(p, t)
        p = splat(0.148_342_5).addingProduct(p, t)
        p = splat(0.170_714_69).addingProduct(p, t)
        p = splat(0.169_188_04).addingProduct(p, t)
        let tail = splat(0.5) * power * t * p
        return (tail.replacing(with: splat(1) - tail, where: x .> splat(0)), power)
    }
}

enum ReLU: ActivationFunction {
    // A NaN is not below zero and stays.
    @_transparent
    static func value(_ x: SIMD16<Float>) -> SIMD16<Float> { x.replacing(with: 0, where: x .<= splat(0)) }

    @_transparent
    static func valueAndSlope(_ x: SIMD16<Float>) -> (value: SIMD16<Float>, slope: SIMD16<Float>) {
        (value(x), splat(1).replacing(with: 0, where: x .<= splat(0)))
    }
}

enum SiLU: ActivationFunction {
    @_transparent
    static func value(_ x: SIMD16<Float>) -> SIMD16<Float> { x * sigmoid(x) }

    @_transparent
    static func valueAndSlope(_ x: SIMD16<Float>) -> (value: SIMD16<Float>, slope: SIMD16<Float>) {
        let s = sigmoid(x)
        return (x * s, s.addingProduct(x * s, splat(1) - s))
    }

    @_transparent
    private static func sigmoid(_ x: SIMD16<Float>) -> SIMD16<Float> {
        splat(1) / (splat(1) + exponential2(x * splat(-log2e)))
    }
}

enum SquaredReLU: ActivationFunction {
    @_transparent
    static func value(_ x: SIMD16<Float>) -> SIMD16<Float> { ReLU.value(x) * ReLU.value(x) }

    @_transparent
    static func valueAndSlope(_ x: SIMD16<Float>) -> (value: SIMD16<Float>, slope: SIMD16<Float>) {
        (value(x), splat(2) * ReLU.value(x))
    }
}
