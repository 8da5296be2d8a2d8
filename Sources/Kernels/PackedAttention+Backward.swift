// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

import CInstructions

// T, H, D, C, P as in PackedAttention.swift.

extension PackedAttention {
    /// The gradients `dq` of one head's queries, keys and values, from `dy`, the gradient of its output `y`. The
    /// head that follows lies `next.qkv` and `next.output` elements further.
    func backward(
        thread: Int, q: UnsafePointer<BFloat16>, y: UnsafePointer<BFloat16>, lse: UnsafePointer<Float>,
        dy: UnsafePointer<BFloat16>, dq: UnsafeMutablePointer<BFloat16>, next: (qkv: Int, output: Int)?
    ) {
        let C = outputStride
        let worker = worker(thread)
        let k = q + C
        Packing.transposedWords(
            k, rows: context, stride: qkvStride, columns: headSize, padded: length,
            words: Self.padded(pairs), to: worker.keysTransposed.base, targetStride: transposedStride)
        Packing.transposedWords(
            q + 2 * C, rows: context, stride: qkvStride, columns: headSize, padded: length,
            words: Self.padded(pairs), to: worker.valuesTransposed.base, targetStride: transposedStride)
        Packing.rowPairs(
            k, rows: context, stride: qkvStride, columns: headSize, padded: length, to: worker.rowPairs.base,
            targetStride: width)
        for start in stride(from: 0, to: context, by: Self.queryTile) {
            let queries = min(Self.queryTile, context - start)
            let padded = (queries + 1) / 2 * 2
            Packing.rowPairs(
                q + start * qkvStride, rows: queries, stride: qkvStride, columns: headSize, padded: padded,
                to: worker.queryPairs.base, targetStride: width)
            Packing.rowPairs(
                dy + start * C, rows: queries, stride: C, columns: headSize, padded: padded,
                to: worker.outputGradientPairs.base, targetStride: width)
            for i in 0..<queries {
                let row = (start + i) * C
                worker.totals.base[i] = dot(y + row, dy + row, headSize)
            }
            for keyStart in stride(from: 0, to: start + queries, by: Self.keyTile) {
                backwardTile(worker, start, queries, keyStart, q, lse, dy)
            }
            if let next {
                let rows = start..<start + queries
                for part in 0..<3 {
                    prefetch(q + next.qkv + part * C, stride: qkvStride, rows)
                    prefetch(dq + next.qkv + part * C, stride: qkvStride, rows)
                }
                prefetch(y + next.output, stride: C, rows)
                prefetch(dy + next.output, stride: C, rows)
            }
            copyRows(worker.sums.base, queries, to: dq + start * qkvStride)
        }
        copyRows(worker.keyGradients.base, context, to: dq + C)
        copyRows(worker.valueGradients.base, context, to: dq + 2 * C)
    }

    /// What up to 64 queries and 256 keys add to the gradients.
    private func backwardTile(
        _ worker: Worker, _ start: Int, _ queries: Int, _ keyStart: Int, _ q: UnsafePointer<BFloat16>,
        _ lse: UnsafePointer<Float>, _ dy: UnsafePointer<BFloat16>
    ) {
        let block = PackedProduct.rowBlock
        for first in stride(from: 0, to: queries, by: block) {
            let rows = min(block, queries - first)
            let keys = Self.padded(min(Self.keyTile, start + first + rows - keyStart))
            Packing.pairs(
                q + (start + first) * qkvStride, rows: rows, stride: qkvStride, columns: headSize, padded: block,
                to: worker.queries.base, targetStride: pairs)
            Packing.pairs(
                dy + (start + first) * outputStride, rows: rows, stride: outputStride, columns: headSize,
                padded: block, to: worker.outputGradients.base, targetStride: pairs)
            PackedProduct.run(
                worker.queries.base, aRow: pairs, aPair: 1, worker.keysTransposed.base + keyStart,
                bStride: transposedStride, worker.scores.base, cStride: tileStride, columns: keys, pairs: pairs,
                accumulates: false)
            PackedProduct.run(
                worker.outputGradients.base, aRow: pairs, aPair: 1, worker.valuesTransposed.base + keyStart,
                bStride: transposedStride, worker.probabilityGradients.base, cStride: tileStride, columns: keys,
                pairs: pairs, accumulates: false)
            for i in stride(from: 0, to: rows, by: 2) {
                writeScoreGradients(
                    worker, i, pair: (first + i) / 2, keys: keys, visible: start + first + i + 1 - keyStart,
                    hasSecond: i + 1 < rows, lse: lse + start + first + i, dots: worker.totals.base + first + i)
            }
            PackedProduct.run(
                words(worker.weights.base), aRow: tileStride / 2, aPair: 1, worker.rowPairs.base + keyStart / 2 * width,
                bStride: width, worker.sums.base + first * width, cStride: width, columns: width, pairs: keys / 2,
                accumulates: keyStart > 0)
        }

        let end = min(keyStart + Self.keyTile, start + queries)
        let lastPair = (queries + 1) / 2
        for key in stride(from: keyStart, to: end, by: block) {
            // The queries before the first key do not see it.
            let firstPair = max(0, key - start) / 2
            let target = key * width
            let left = key - keyStart + firstPair * tileStride
            PackedProduct.run(
                worker.probabilityPairs.base + left, aRow: 1, aPair: tileStride,
                worker.outputGradientPairs.base + firstPair * width, bStride: width,
                worker.valueGradients.base + target, cStride: width, columns: width, pairs: lastPair - firstPair,
                accumulates: key < start)
            PackedProduct.run(
                worker.scoreGradientPairs.base + left, aRow: 1, aPair: tileStride,
                worker.queryPairs.base + firstPair * width, bStride: width, worker.keyGradients.base + target,
                cStride: width, columns: width, pairs: lastPair - firstPair, accumulates: key < start)
        }
    }

    /// p = e^(s · scale − lse) and dS = p · (dP − dO · O) · scale for two queries; zeros past the diagonal.
    private func writeScoreGradients(
        _ worker: Worker, _ row: Int, pair: Int, keys: Int, visible: Int, hasSecond: Bool,
        lse: UnsafePointer<Float>, dots: UnsafePointer<Float>
    ) {
        let scores = worker.scores.base + row * tileStride
        let gradients = worker.probabilityGradients.base + row * tileStride
        let weights = worker.weights.base + row * tileStride
        let probabilityPairs = worker.probabilityPairs.base + pair * tileStride
        let scoreGradientPairs = worker.scoreGradientPairs.base + pair * tileStride
        let factor = splat(scale)
        let exponent = splat(scale * log2e)
        let shift = (splat(-lse[0] * log2e), splat(hasSecond ? -lse[1] * log2e : 0))
        let dot = (splat(dots[0]), splat(hasSecond ? dots[1] : 0))
        // The second query sees one key more.
        let limit = (visible, hasSecond ? visible + 1 : 0)
        for j in stride(from: 0, to: keys, by: 16) {
            var p0 = exponential2(shift.0.addingProduct(Float.load16(scores + j), exponent))
            var p1 = exponential2(shift.1.addingProduct(Float.load16(scores + tileStride + j), exponent))
            var d0 = p0 * (Float.load16(gradients + j) - dot.0) * factor
            var d1 = p1 * (Float.load16(gradients + tileStride + j) - dot.1) * factor
            if j + 16 > min(limit.0, limit.1) {
                // Lanes past the diagonal may hold anything, and 0 · ∞ is not 0.
                let outside0 = laneNumbers .>= splat(Float(limit.0 - j))
                let outside1 = laneNumbers .>= splat(Float(limit.1 - j))
                p0.replace(with: 0, where: outside0)
                d0.replace(with: 0, where: outside0)
                p1.replace(with: 0, where: outside1)
                d1.replace(with: 0, where: outside1)
            }
            let (e0, e1) = (instructions_round_bf16(d0), instructions_round_bf16(d1))
            UnsafeMutableRawPointer(weights + j).storeBytes(of: e0, as: SIMD16<UInt16>.self)
            UnsafeMutableRawPointer(weights + tileStride + j).storeBytes(of: e1, as: SIMD16<UInt16>.self)
            storeWords(widened(e0) | widened(e1) &<< 16, to: scoreGradientPairs + j)
            storeWords(
                widened(instructions_round_bf16(p0)) | widened(instructions_round_bf16(p1)) &<< 16,
                to: probabilityPairs + j)
        }
    }

    private func copyRows(_ source: UnsafePointer<Float>, _ rows: Int, to target: UnsafeMutablePointer<BFloat16>) {
        for i in 0..<rows {
            for d in stride(from: 0, to: headSize, by: 16) {
                BFloat16.store(
                    Float.load16(source + i * width + d), to: target + i * qkvStride + d, count: headSize - d)
            }
        }
    }
}
