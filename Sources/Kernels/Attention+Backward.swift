// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// B, T, H, D, C, N as in Attention.swift.

extension Attention {
    /// `qkvGradient` [N, 3C] from `outputGradient` [N, C] and what the forward pass read and wrote.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    public func backward(
        qkv: BufferSlice<E>, output: BufferSlice<E>, logSumExp: BufferSlice<Float>, outputGradient: BufferSlice<E>,
        qkvGradient: BufferSlice<E>
    ) {
        compute.pool.split(sequences * heads) { thread, pairs in
            for pair in pairs {
                backwardHead(
                    pair, thread, qkv.pointer, output.pointer, logSumExp.pointer, outputGradient.pointer,
                    qkvGradient.pointer)
            }
        }
    }

    @inline(__always)
    private func backwardHead(
        _ pair: Int, _ thread: Int, _ qkv: UnsafePointer<E>, _ output: UnsafePointer<E>,
        _ logSumExp: UnsafePointer<Float>, _ outputGradient: UnsafePointer<E>, _ qkvGradient: UnsafeMutablePointer<E>
    ) {
        let C = heads * headSize
        let (sequence, head) = pair.quotientAndRemainder(dividingBy: heads)
        let q = qkv + sequence * context * 3 * C + head * headSize
        let k = q + C
        let v = q + 2 * C
        let dq = qkvGradient + sequence * context * 3 * C + head * headSize
        let y = output + sequence * context * C + head * headSize
        let dy = outputGradient + sequence * context * C + head * headSize
        let lse = logSumExp + pair * context
        if let packed {
            return packed.backward(
                thread: thread, q: asBFloat16(q), y: asBFloat16(y), lse: lse, dy: asBFloat16(dy), dq: asBFloat16(dq),
                next: next(pair))
        }
        let worker = workers[thread]
        let memory = compute.scratchMemory(thread: thread)
        let queryGradient = worker.rows.base
        let rowDots = worker.statistics.base
        worker.keyGradient.zero()
        worker.valueGradient.zero()

        for tile in worker.tiles {
            guard let products = tile.backward else { preconditionFailure("planned without training") }
            let q0 = q + tile.queryStart * 3 * C
            let k0 = k + tile.keyStart * 3 * C
            let dy0 = dy + tile.queryStart * C
            if tile.keyStart == 0 {
                for i in 0..<tile.queries {
                    rowDots[i] = dot(y + (tile.queryStart + i) * C, dy0 + i * C, headSize)
                }
            }
            tile.scores.run(q0, k0, worker.scores.base, scratch: memory)
            products.probabilityGradient.run(
                dy0, v + tile.keyStart * 3 * C, worker.probabilityGradients.base, scratch: memory)
            for i in 0..<tile.queries {
                writeScoreGradients(
                    scores: worker.scores.base + i * tileStride,
                    probabilityGradients: worker.probabilityGradients.base + i * tileStride,
                    visible: min(tile.keys, tile.queryStart + i + 1 - tile.keyStart), keys: tile.keys,
                    logSumExp: lse[tile.queryStart + i], dot: rowDots[i],
                    probabilities: worker.probabilities.base + i * tileStride,
                    scoreGradients: worker.scoreGradients.base + i * tileStride)
            }
            products.valueGradient.run(
                worker.probabilities.base, dy0, worker.valueGradient.base + tile.keyStart * headSize, scratch: memory)
            products.keyGradient.run(
                worker.scoreGradients.base, q0, worker.keyGradient.base + tile.keyStart * headSize, scratch: memory)
            tile.weightedSum.run(worker.scoreGradients.base, k0, queryGradient, scratch: memory)
            if tile.isLast {
                copyRows(queryGradient, tile.queries, to: dq + tile.queryStart * 3 * C, stride: 3 * C)
            }
        }
        copyRows(worker.keyGradient.base, context, to: dq + C, stride: 3 * C)
        copyRows(worker.valueGradient.base, context, to: dq + 2 * C, stride: 3 * C)
    }

    /// p = e^(s · scale − lse) and dS = p · (dP − dO · O) · scale for one row; zeros past the diagonal.
    @inline(__always)
    private func writeScoreGradients(
        scores: UnsafePointer<Float>, probabilityGradients: UnsafePointer<Float>, visible: Int, keys: Int,
        logSumExp: Float, dot: Float, probabilities: UnsafeMutablePointer<E>, scoreGradients: UnsafeMutablePointer<E>
    ) {
        let factor = splat(scale)
        let exponent = splat(scale * log2e)
        let shift = splat(-logSumExp * log2e)
        for j in stride(from: 0, to: visible, by: 16) {
            var p = exponential2(shift.addingProduct(Float.load16(scores + j), exponent))
            if j + 16 > visible { p.replace(with: 0, where: laneNumbers .>= splat(Float(visible - j))) }
            var ds = p * (Float.load16(probabilityGradients + j) - splat(dot)) * factor
            // Lanes past the tile may hold anything, and 0 · ∞ is not 0.
            if j + 16 > visible { ds.replace(with: 0, where: laneNumbers .>= splat(Float(visible - j))) }
            E.store16(p, to: probabilities + j)
            E.store16(ds, to: scoreGradients + j)
        }
        for j in stride(from: (visible + 15) / 16 * 16, to: keys, by: 16) {
            E.store16(SIMD16(), to: probabilities + j)
            E.store16(SIMD16(), to: scoreGradients + j)
        }
    }

    @inline(__always)
    private func copyRows(_ source: UnsafePointer<Float>, _ rows: Int, to target: UnsafeMutablePointer<E>, stride: Int)
    {
        for i in 0..<rows {
            for d in Swift.stride(from: 0, to: headSize, by: 16) {
                let left = headSize - d
                E.store(Float.load(source + i * headSize + d, count: left), to: target + i * stride + d, count: left)
            }
        }
    }
}

@inline(__always)
func dot<E: ActivationElement>(_ x: UnsafePointer<E>, _ y: UnsafePointer<E>, _ count: Int) -> Float {
    var sum = SIMD16<Float>()
    for d in stride(from: 0, to: count, by: 16) {
        sum.addProduct(E.load(x + d, count: count - d), E.load(y + d, count: count - d))
    }
    return horizontalSum(sum)
}
