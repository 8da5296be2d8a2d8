// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

import Glibc

// T, H, D, C, N, W, P as in Attention.swift.

extension Attention {
    /// `output` [N, C] from `qkv` [N, W], scores being `scale` · q · k; keeps each row's log-sum-exp in `logSumExp`
    /// [B, H, T]. With `dropout`, weights are dropped: rows [B, H, T] of T columns each.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package func forward(
        qkv: BufferSlice<E>, output: BufferSlice<E>, logSumExp: BufferSlice<Float>, scale: Float,
        dropout: Dropout? = nil
    ) {
        let rows = sequences * context
        precondition(
            qkv.count >= rows * qkvStride && output.count >= rows * outputStride
                && logSumExp.count >= rows * columns.heads, "attention was lent too little memory")
        pool.split(sequences * columns.keyValueHeads) { thread, groups in
            for pair in pairs(of: groups) {
                let place = place(of: pair)
                forwardHead(
                    workers[thread], qkv.pointer, place, next: self.place(after: pair),
                    y: output.pointer + place.output, lse: logSumExp.pointer + place.logSumExp, scale, dropout)
            }
        }
    }

    /// One head of one sequence, whose first output is `y` and first log-sum-exp `lse`; the first of a group packs what
    /// the others find packed.
    @inline(__always)
    private func forwardHead(
        _ worker: Worker, _ qkv: UnsafePointer<E>, _ place: Place, next: Place, y: UnsafeMutablePointer<E>,
        lse: UnsafeMutablePointer<Float>, _ scale: Float, _ dropout: Dropout?
    ) {
        if place.isFirst {
            Packing.transposedWords(
                qkv + place.key, rows: context, stride: qkvStride, columns: headSize, padded: length,
                words: Self.padded(rowWords), to: worker.keysTransposed.base, targetStride: transposedStride)
            Packing.rows(
                qkv + place.value, rows: context, stride: qkvStride, columns: headSize, padded: length,
                to: worker.rows.base, targetStride: width)
        }
        for start in stride(from: 0, to: context, by: PackedProduct.rowBlock) {
            let rows = start..<min(context, start + PackedProduct.rowBlock)
            prefetch(qkv + next.query, stride: qkvStride, rows)
            if place.isLast {
                prefetch(qkv + next.key, stride: qkvStride, rows)
                prefetch(qkv + next.value, stride: qkvStride, rows)
            }
            forwardBlock(worker, place, start, qkv + place.query, y, lse, scale, dropout)
        }
    }

    /// The outputs of eight queries.
    @inline(__always)
    private func forwardBlock(
        _ worker: Worker, _ place: Place, _ start: Int, _ q: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>,
        _ lse: UnsafeMutablePointer<Float>, _ scale: Float, _ dropout: Dropout?
    ) {
        let rows = min(PackedProduct.rowBlock, context - start)
        let end = start + rows
        let scores = worker.scores.base
        let weights = worker.weights.base
        let sums = worker.sums.base
        let largest = worker.largest.base
        let totals = worker.totals.base
        Packing.words(
            q + start * qkvStride, rows: rows, stride: qkvStride, columns: headSize, padded: PackedProduct.rowBlock,
            to: worker.queries.base)
        for keyStart in stride(from: 0, to: end, by: Self.keyTile) {
            let keys = Self.padded(min(Self.keyTile, end - keyStart))
            PackedProduct.run(
                E.self, worker.queries.base, aRow: rowWords, aWord: 1, worker.keysTransposed.base + keyStart,
                bStride: transposedStride, scores, cStride: tileStride, columns: keys, words: rowWords,
                accumulates: false)
            for i in 0..<rows {
                let visible = min(keys, start + i + 1 - keyStart)
                let row = scores + i * tileStride
                let previous = keyStart == 0 ? -Float.infinity : largest[i]
                let most = max(previous, largestElement(row, visible))
                let total = writePowers(of: row, visible, keys: keys, minus: most, scale, to: weights + i * tileStride)
                if keyStart > 0 {
                    // What was summed so far was relative to a smaller maximum.
                    let correction = exp((previous - most) * scale)
                    totals[i] = totals[i] * correction + total
                    for d in stride(from: 0, to: width, by: 16) {
                        let sum = sums + i * width + d
                        Float.store16(Float.load16(sum) * splat(correction), to: sum)
                    }
                } else {
                    totals[i] = total
                }
                largest[i] = most
                if let mask = dropout?.row(place.logSumExp + start + i) {
                    for j in stride(from: 0, to: keys, by: 16) {
                        let weight = weights + i * tileStride + j
                        E.store16(E.load16(weight) * mask.factors(keyStart + j), to: weight)
                    }
                }
            }
            PackedProduct.run(
                E.self, words(weights), aRow: Packing.wordCount(tileStride, E.self), aWord: 1,
                worker.rows.base + Packing.wordCount(keyStart, E.self) * width, bStride: width, sums, cStride: width,
                columns: width, words: Packing.wordCount(keys, E.self), accumulates: keyStart > 0)
        }
        let whole = headSize / 16 * 16
        for i in 0..<rows {
            let inverse = splat(1 / totals[i])
            let (from, to) = (sums + i * width, y + (start + i) * outputStride)
            for d in stride(from: 0, to: whole, by: 16) { E.store16(Float.load16(from + d) * inverse, to: to + d) }
            if whole < headSize {
                E.store(Float.load16(from + whole) * inverse, to: to + whole, count: headSize - whole)
            }
            lse[start + i] = largest[i] * scale + log(totals[i])
        }
    }
}

/// The largest of the first `count` elements.
@inline(__always)
func largestElement<E: ActivationElement>(_ x: UnsafePointer<E>, _ count: Int) -> Float {
    let full = count / 16 * 16
    var most = splat(-.infinity)
    for j in stride(from: 0, to: full, by: 16) { most = larger(most, E.load16(x + j)) }
    var result = horizontalMax(most)
    for j in full..<count { result = max(result, x[j].float) }
    return result
}

/// Writes e^((x − `minus`) · scale) for the first `visible` elements and zeros up to `keys`, and returns their sum.
@inline(__always)
func writePowers<E: ActivationElement>(
    of x: UnsafePointer<Float>, _ visible: Int, keys: Int, minus: Float, _ scale: Float, to y: UnsafeMutablePointer<E>
) -> Float {
    var sum = SIMD16<Float>()
    let shift = splat(-minus * scale * log2e)
    let factor = splat(scale * log2e)
    let full = visible / 16 * 16
    for j in stride(from: 0, to: full, by: 16) {
        let power = exponential2(shift.addingProduct(Float.load16(x + j), factor))
        E.store16(power, to: y + j)
        sum += power
    }
    var next = full
    if full < visible {
        var power = exponential2(shift.addingProduct(Float.load16(x + full), factor))
        power.replace(with: 0, where: laneNumbers .>= splat(Float(visible - full)))
        E.store16(power, to: y + full)
        sum += power
        next += 16
    }
    for j in stride(from: next, to: keys, by: 16) { E.store16(SIMD16(), to: y + j) }
    return horizontalSum(sum)
}

/// 0, 1 … 15.
@inline(__always)
var laneNumbers: SIMD16<Float> { SIMD16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) }
