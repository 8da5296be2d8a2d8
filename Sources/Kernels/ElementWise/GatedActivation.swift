// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// N: rows, H: columns (the inner size of the MLP).

/// Gated linear units (Shazeer 2020).
extension Activation {
    /// `y` [N, H] = f(gate) · up, where a row of `x` [N, 2H] is the gate's H columns, then those of up.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package func forwardGated<E: ActivationElement>(
        _ pool: ThreadPool, _ x: BufferSlice<E>, into y: BufferSlice<E>, columns: Int
    ) {
        switch self {
        case .gelu: Gated<ExactGELU, E>.forward(pool, x, into: y, columns: columns)
        case .geluNew, .geluTanh, .geluFast: Gated<TanhGELU, E>.forward(pool, x, into: y, columns: columns)
        case .relu: Gated<ReLU, E>.forward(pool, x, into: y, columns: columns)
        case .silu: Gated<SiLU, E>.forward(pool, x, into: y, columns: columns)
        case .reluSquared: Gated<SquaredReLU, E>.forward(pool, x, into: y, columns: columns)
        }
    }

    /// Takes the gradient of y in `a` [N, H] and `x` [N, 2H]; writes the gradients of gate and up to `gradient`
    /// [N, 2H], which may be x's own memory, and y again to `a` (it is not kept since the forward pass).
    ///
    /// The column sums of `gradient` go to `biasGradient` [2H]; nil: they are not needed. `partials` has room for N rows
    /// of 2H columns then.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package func backwardGated<E: ActivationElement>(
        _ pool: ThreadPool, x: BufferSlice<E>, outputAndGradient a: BufferSlice<E>, gradient: BufferSlice<E>,
        biasGradient: BufferSlice<Float>?, partials: Partials, columns: Int
    ) {
        func run<F: ActivationFunction>(_: F.Type) {
            Gated<F, E>.backward(
                pool, x: x, outputAndGradient: a, gradient: gradient, biasGradient: biasGradient, partials: partials,
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

/// The two passes over a gated layer, with the function inside.
private enum Gated<F: ActivationFunction, E: ActivationElement> {
    static func forward(_ pool: ThreadPool, _ x: BufferSlice<E>, into y: BufferSlice<E>, columns H: Int) {
        let N = x.count / (2 * H)
        precondition(y.count >= N * H, "room for \(y.count) results of [\(N), \(H)]")
        pool.split(N, grain: 8) { _, rows in
            for n in rows {
                let gate = x.pointer + n * 2 * H
                let up = gate + H
                let yRow = y.pointer + n * H
                @inline(__always) func vector(_ h: Int, _ left: Int) {
                    let value = F.value(E.load(gate + h, count: left)) * E.load(up + h, count: left)
                    E.store(value, to: yRow + h, count: left)
                }
                let full = H / 16 * 16
                for h in stride(from: 0, to: full, by: 16) { vector(h, 16) }
                if full < H { vector(full, H - full) }
            }
        }
    }

    static func backward(
        _ pool: ThreadPool, x: BufferSlice<E>, outputAndGradient a: BufferSlice<E>, gradient: BufferSlice<E>,
        biasGradient: BufferSlice<Float>?, partials: Partials, columns H: Int
    ) {
        let N = a.count / H
        precondition(
            min(x.count, gradient.count) >= N * 2 * H && biasGradient?.count ?? 2 * H >= 2 * H,
            "too little memory for [\(N), 2 · \(H)]")
        guard let biasGradient else {
            pool.split(N, grain: 8) { _, rows in
                for n in rows {
                    row(x.pointer + n * 2 * H, a.pointer + n * H, gradient.pointer + n * 2 * H, sums: nil, columns: H)
                }
            }
            return
        }
        partials.forEachRow(pool, rows: N, columns: 2 * H) { n, sums in
            row(x.pointer + n * 2 * H, a.pointer + n * H, gradient.pointer + n * 2 * H, sums: sums, columns: H)
        }
        partials.combine(rows: N, columns: 2 * H, from: 0, count: 2 * H, into: biasGradient)
    }

    @inline(__always)
    private static func row(
        _ gate: UnsafePointer<E>, _ a: UnsafeMutablePointer<E>, _ gateGradient: UnsafeMutablePointer<E>,
        sums: UnsafeMutablePointer<Float>?, columns H: Int
    ) {
        let up = gate + H
        let upGradient = gateGradient + H
        @inline(__always) func vector(_ h: Int, _ left: Int) {
            let (value, slope) = F.valueAndSlope(E.load(gate + h, count: left))
            let u = E.load(up + h, count: left)
            let dy = E.load(a + h, count: left)
            let dGate = dy * u * slope
            let dUp = dy * value
            E.store(value * u, to: a + h, count: left)
            E.store(dGate, to: gateGradient + h, count: left)
            E.store(dUp, to: upGradient + h, count: left)
            if let sums {
                Float.store(Float.load(sums + h, count: left) + dGate, to: sums + h, count: left)
                Float.store(Float.load(sums + H + h, count: left) + dUp, to: sums + H + h, count: left)
            }
        }
        let full = H / 16 * 16
        for h in stride(from: 0, to: full, by: 16) { vector(h, 16) }
        if full < H { vector(full, H - full) }
    }
}
