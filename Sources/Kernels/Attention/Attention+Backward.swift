// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// T, H, D, C, N, W, P as in Attention.swift.

extension Attention {
    /// What the backward pass of one head reads and writes: the whole operands, and where its part of them lies and the
    /// next head's.
    private struct Head {
        let qkv: UnsafePointer<E>
        let output: UnsafePointer<E>
        let logSumExp: UnsafePointer<Float>
        let outputGradient: UnsafePointer<E>
        let qkvGradient: UnsafeMutablePointer<E>
        let place, next: Place
        let scale: Float
        let dropout: Dropout?

        var q: UnsafePointer<E> { qkv + place.query }
        var y: UnsafePointer<E> { output + place.output }
        var lse: UnsafePointer<Float> { logSumExp + place.logSumExp }
        var dy: UnsafePointer<E> { outputGradient + place.output }
    }

    /// `qkvGradient` [N, W] from `outputGradient` [N, C] and what the forward pass read and wrote. The gradients of
    /// shared keys and values are summed over their heads in fp32, one head after the other, and rounded once.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package func backward(
        qkv: BufferSlice<E>, output: BufferSlice<E>, logSumExp: BufferSlice<Float>, outputGradient: BufferSlice<E>,
        qkvGradient: BufferSlice<E>, scale: Float, dropout: Dropout? = nil
    ) {
        let rows = sequences * context
        precondition(
            min(qkv.count, qkvGradient.count) >= rows * qkvStride
                && min(output.count, outputGradient.count) >= rows * outputStride
                && logSumExp.count >= rows * columns.heads, "attention was lent too little memory")
        pool.split(sequences * columns.keyValueHeads) { thread, groups in
            for pair in pairs(of: groups) {
                backwardHead(
                    workers[thread],
                    Head(
                        qkv: qkv.pointer, output: output.pointer, logSumExp: logSumExp.pointer,
                        outputGradient: outputGradient.pointer, qkvGradient: qkvGradient.pointer,
                        place: place(of: pair), next: place(after: pair), scale: scale, dropout: dropout))
            }
        }
    }

    /// The first head of a group packs its keys and values and the last one writes their gradients.
    @inline(__always)
    private func backwardHead(_ worker: Worker, _ head: Head) {
        let C = outputStride
        if head.place.isFirst { packGroup(worker, head.qkv + head.place.key, head.qkv + head.place.value) }
        for start in stride(from: 0, to: context, by: Self.queryTile) {
            let queries = min(Self.queryTile, context - start)
            // Up to whole words.
            let padded = (queries + 1) / 2 * 2
            Packing.rows(
                head.q + start * qkvStride, rows: queries, stride: qkvStride, columns: headSize, padded: padded,
                to: worker.queryWords.base, targetStride: width)
            Packing.rows(
                head.dy + start * C, rows: queries, stride: C, columns: headSize, padded: padded,
                to: worker.outputGradientWords.base, targetStride: width)
            for i in 0..<queries {
                let row = (start + i) * C
                worker.totals.base[i] = dot(head.y + row, head.dy + row, headSize)
            }
            for keyStart in stride(from: 0, to: start + queries, by: Self.keyTile) {
                backwardTile(worker, head, start, queries, keyStart)
            }
            copyRows(worker.sums.base, queries, to: head.qkvGradient + head.place.query + start * qkvStride)
        }
        if head.place.isLast {
            copyRows(worker.keyGradients.base, context, to: head.qkvGradient + head.place.key)
            copyRows(worker.valueGradients.base, context, to: head.qkvGradient + head.place.value)
        }
    }

    @inline(__always)
    private func packGroup(_ worker: Worker, _ k: UnsafePointer<E>, _ v: UnsafePointer<E>) {
        Packing.transposedWords(
            k, rows: context, stride: qkvStride, columns: headSize, padded: length, words: Self.padded(rowWords),
            to: worker.keysTransposed.base, targetStride: transposedStride)
        Packing.transposedWords(
            v, rows: context, stride: qkvStride, columns: headSize, padded: length, words: Self.padded(rowWords),
            to: worker.valuesTransposed.base, targetStride: transposedStride)
        Packing.rows(
            k, rows: context, stride: qkvStride, columns: headSize, padded: length, to: worker.rows.base,
            targetStride: width)
    }

    /// Asks for some rows of the next head, of keys and values too where it begins a group.
    @inline(__always)
    private func prefetchNext(_ head: Head, _ rows: Range<Int>) {
        let next = head.next
        prefetch(head.qkv + next.query, stride: qkvStride, rows)
        prefetch(head.qkvGradient + next.query, stride: qkvStride, rows)
        if head.place.isLast {
            prefetch(head.qkv + next.key, stride: qkvStride, rows)
            prefetch(head.qkvGradient + next.key, stride: qkvStride, rows)
            prefetch(head.qkv + next.value, stride: qkvStride, rows)
            prefetch(head.qkvGradient + next.value, stride: qkvStride, rows)
        }
        prefetch(head.output + next.output, stride: outputStride, rows)
        prefetch(head.outputGradient + next.output, stride: outputStride, rows)
    }

    /// What up to 64 queries and 256 keys add to the gradients.
    @inline(__always)
    private func backwardTile(_ worker: Worker, _ head: Head, _ start: Int, _ queries: Int, _ keyStart: Int) {
        let block = PackedProduct.rowBlock
        for first in stride(from: 0, to: queries, by: block) {
            let rows = min(block, queries - first)
            // With few rows at a time: as many lines as a whole tile has would keep the products waiting.
            if keyStart == 0 { prefetchNext(head, start + first..<start + first + rows) }
            let keys = Self.padded(min(Self.keyTile, start + first + rows - keyStart))
            Packing.words(
                head.q + (start + first) * qkvStride, rows: rows, stride: qkvStride, columns: headSize, padded: block,
                to: worker.queries.base)
            Packing.words(
                head.dy + (start + first) * outputStride, rows: rows, stride: outputStride, columns: headSize,
                padded: block, to: worker.outputGradients.base)
            PackedProduct.run(
                E.self, worker.queries.base, aRow: rowWords, aWord: 1, worker.keysTransposed.base + keyStart,
                bStride: transposedStride, worker.scores.base, cStride: tileStride, columns: keys, words: rowWords,
                accumulates: false)
            PackedProduct.run(
                E.self, worker.outputGradients.base, aRow: rowWords, aWord: 1,
                worker.valuesTransposed.base + keyStart, bStride: transposedStride, worker.probabilityGradients.base,
                cStride: tileStride, columns: keys, words: rowWords, accumulates: false)
            for i in stride(from: 0, to: rows, by: 2) {
                // Two calls, so that the loop without dropout has no trace of it.
                if let dropout = head.dropout {
                    let row = head.place.logSumExp + start + first + i
                    writeScoreGradients(
                        worker, i, of: first + i, keys: keys, visible: start + first + i + 1 - keyStart,
                        hasSecond: i + 1 < rows, head.scale, lse: head.lse + start + first + i,
                        dots: worker.totals.base + first + i,
                        dropped: (dropout.row(row), dropout.row(row + 1), keyStart))
                } else {
                    writeScoreGradients(
                        worker, i, of: first + i, keys: keys, visible: start + first + i + 1 - keyStart,
                        hasSecond: i + 1 < rows, head.scale, lse: head.lse + start + first + i,
                        dots: worker.totals.base + first + i, dropped: nil)
                }
            }
            PackedProduct.run(
                E.self, words(worker.weights.base), aRow: Packing.wordCount(tileStride, E.self), aWord: 1,
                worker.rows.base + Packing.wordCount(keyStart, E.self) * width, bStride: width,
                worker.sums.base + first * width, cStride: width, columns: width,
                words: Packing.wordCount(keys, E.self), accumulates: keyStart > 0)
        }

        let end = min(keyStart + Self.keyTile, start + queries)
        // The first sums of the group's first head are written, all others are added to what is there.
        let added = head.place.isFirst ? start : context
        let last = Packing.wordCount(queries, E.self)
        for key in stride(from: keyStart, to: end, by: block) {
            // The queries before the first key do not see it. Blocks of keys start at even queries.
            let firstWord = Packing.wordCount(max(0, key - start), E.self)
            let target = key * width
            let left = key - keyStart + firstWord * tileStride
            PackedProduct.run(
                E.self, worker.probabilityWords.base + left, aRow: 1, aWord: tileStride,
                worker.outputGradientWords.base + firstWord * width, bStride: width,
                worker.valueGradients.base + target, cStride: width, columns: width, words: last - firstWord,
                accumulates: key < added)
            PackedProduct.run(
                E.self, worker.scoreGradientWords.base + left, aRow: 1, aWord: tileStride,
                worker.queryWords.base + firstWord * width, bStride: width, worker.keyGradients.base + target,
                cStride: width, columns: width, words: last - firstWord, accumulates: key < added)
        }
    }

    /// p = e^(s · scale − lse) and dS = p · (dP − dO · O) · scale for two queries, `row` and `row` + 1 of the block and
    /// `query` and `query` + 1 of the tile; zeros past the diagonal. Dropped weights have no gradient and no part in others'.
    @inline(__always)
    private func writeScoreGradients(
        _ worker: Worker, _ row: Int, of query: Int, keys: Int, visible: Int, hasSecond: Bool,
        _ scale: Float, lse: UnsafePointer<Float>, dots: UnsafePointer<Float>,
        dropped: (Dropout.Row, Dropout.Row, firstKey: Int)?
    ) {
        let scores = worker.scores.base + row * tileStride
        let gradients = worker.probabilityGradients.base + row * tileStride
        let weights = worker.weights.base + row * tileStride
        let tileRow = Packing.wordCount(query, E.self) * tileStride
        let probabilityWords = worker.probabilityWords.base + tileRow
        let scoreGradientWords = worker.scoreGradientWords.base + tileRow
        let factor = splat(scale)
        let exponent = splat(scale * log2e)
        let shift = (splat(-lse[0] * log2e), splat(hasSecond ? -lse[1] * log2e : 0))
        let dot = (splat(dots[0]), splat(hasSecond ? dots[1] : 0))
        // The second query sees one key more.
        let limit = (visible, hasSecond ? visible + 1 : 0)
        for j in stride(from: 0, to: keys, by: 16) {
            var p0 = exponential2(shift.0.addingProduct(Float.load16(scores + j), exponent))
            var p1 = exponential2(shift.1.addingProduct(Float.load16(scores + tileStride + j), exponent))
            var g0 = Float.load16(gradients + j)
            var g1 = Float.load16(gradients + tileStride + j)
            let factors = dropped.map { ($0.0.factors($0.firstKey + j), $0.1.factors($0.firstKey + j)) }
            if let factors {
                g0 *= factors.0
                g1 *= factors.1
            }
            var d0 = p0 * (g0 - dot.0) * factor
            var d1 = p1 * (g1 - dot.1) * factor
            if let factors {
                p0 *= factors.0
                p1 *= factors.1
            }
            if j + 16 > min(limit.0, limit.1) {
                // Lanes past the diagonal may hold anything, and 0 · ∞ is not 0.
                let outside0 = laneNumbers .>= splat(Float(limit.0 - j))
                let outside1 = laneNumbers .>= splat(Float(limit.1 - j))
                p0.replace(with: 0, where: outside0)
                d0.replace(with: 0, where: outside0)
                p1.replace(with: 0, where: outside1)
                d1.replace(with: 0, where: outside1)
            }
            E.store16(d0, to: weights + j)
            E.store16(d1, to: weights + tileStride + j)
            Packing.storeRows(d0, d1, E.self, to: scoreGradientWords + j, stride: tileStride)
            Packing.storeRows(p0, p1, E.self, to: probabilityWords + j, stride: tileStride)
        }
    }

    @inline(__always)
    private func copyRows(_ source: UnsafePointer<Float>, _ rows: Int, to target: UnsafeMutablePointer<E>) {
        for i in 0..<rows {
            let (from, to) = (source + i * width, target + i * qkvStride)
            let whole = headSize / 16 * 16
            for d in stride(from: 0, to: whole, by: 16) { E.store16(Float.load16(from + d), to: to + d) }
            if whole < headSize { E.store(Float.load16(from + whole), to: to + whole, count: headSize - whole) }
        }
    }
}

@inline(__always)
func dot<E: ActivationElement>(_ x: UnsafePointer<E>, _ y: UnsafePointer<E>, _ count: Int) -> Float {
    var sum = SIMD16<Float>()
    let whole = count / 16 * 16
    for d in stride(from: 0, to: whole, by: 16) { sum.addProduct(E.load16(x + d), E.load16(y + d)) }
    if whole < count {
        sum.addProduct(E.load(x + whole, count: count - whole), E.load(y + whole, count: count - whole))
    }
    return horizontalSum(sum)
}
