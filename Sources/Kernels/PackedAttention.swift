// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

import CInstructions
import Glibc

// T, H, D, C as in Attention.swift. P: pairs of head elements, (D + 1) / 2. Padded sizes are multiples of 16.

/// Attention in bf16 on a CPU with bf16 dot products: the same tiles and the same online softmax as `Attention`, with
/// products of its own in place of oneDNN's.
///
/// Keys and values of a head are packed into words once and serve all its queries. Scores exist for eight queries at a
/// time and stay in the L1 cache; what lies above the diagonal is skipped in steps of 16 keys.
final class PackedAttention: @unchecked Sendable {
    /// Queries whose key and value gradients are summed in one product.
    static var queryTile: Int { 64 }
    /// Keys whose scores exist at a time.
    static var keyTile: Int { 256 }

    let context: Int
    let headSize: Int
    /// Elements from one row of a matrix of queries, keys and values to the next, and of the output.
    let qkvStride: Int
    let outputStride: Int
    let scale: Float
    /// P.
    let pairs: Int
    /// D and T, padded.
    let width: Int
    let length: Int
    /// Words from one row of a transposed operand to the next: 16 more than a power of two, so that rows do not share
    /// cache sets.
    let transposedStride: Int
    /// Elements from one row of scores to the next.
    let tileStride: Int
    private let workers: [Worker]

    /// What one thread computes with.
    struct Worker {
        /// [P, T] keys and values, the right operands of scores and of probability gradients.
        let keysTransposed: Buffer<UInt32>
        let valuesTransposed: Buffer<UInt32>
        /// [T / 2, D] values in the forward pass, keys in the backward pass: right operands of weighted sums.
        let rowPairs: Buffer<UInt32>
        /// [8, P] queries and output gradients.
        let queries: Buffer<UInt32>
        let outputGradients: Buffer<UInt32>
        /// [8, keys]
        let scores: Buffer<Float>
        let probabilityGradients: Buffer<Float>
        /// [8, keys] probabilities in the forward pass, score gradients in the backward pass.
        let weights: Buffer<BFloat16>
        /// [64, D] the weighted sums of a tile's queries.
        let sums: Buffer<Float>
        /// [32, keys] probabilities and score gradients of two queries in a word: left operands, transposed.
        let probabilityPairs: Buffer<UInt32>
        let scoreGradientPairs: Buffer<UInt32>
        /// [32, D] queries and output gradients of a tile, two in a word.
        let queryPairs: Buffer<UInt32>
        let outputGradientPairs: Buffer<UInt32>
        /// [T, D]
        let keyGradients: Buffer<Float>
        let valueGradients: Buffer<Float>
        /// [64] each.
        let largest: Buffer<Float>
        let totals: Buffer<Float>
    }

    init(threads: Int, context: Int, heads: Int, headSize: Int, training: Bool) {
        self.context = context
        self.headSize = headSize
        qkvStride = 3 * heads * headSize
        outputStride = heads * headSize
        scale = 1 / Float(headSize).squareRoot()
        pairs = (headSize + 1) / 2
        width = Self.padded(headSize)
        length = Self.padded(context)
        transposedStride = length + 16
        tileStride = min(Self.keyTile, length) + 16
        let (pairs, width, length, tileStride, transposed) = (
            pairs, width, length, tileStride, Self.padded(pairs) * transposedStride
        )
        let rows = PackedProduct.rowBlock
        workers = (0..<threads).map { _ in
            func kept(_ count: Int) -> Int { training ? count : 0 }
            return Worker(
                keysTransposed: Buffer(count: transposed), valuesTransposed: Buffer(count: kept(transposed)),
                rowPairs: Buffer(count: length / 2 * width), queries: Buffer(count: rows * pairs),
                outputGradients: Buffer(count: kept(rows * pairs)), scores: Buffer(count: rows * tileStride),
                probabilityGradients: Buffer(count: kept(rows * tileStride)),
                weights: Buffer(count: rows * tileStride), sums: Buffer(count: Self.queryTile * width),
                probabilityPairs: Buffer(count: kept(Self.queryTile / 2 * tileStride)),
                scoreGradientPairs: Buffer(count: kept(Self.queryTile / 2 * tileStride)),
                queryPairs: Buffer(count: kept(Self.queryTile / 2 * width)),
                outputGradientPairs: Buffer(count: kept(Self.queryTile / 2 * width)),
                keyGradients: Buffer(count: kept(length * width)),
                valueGradients: Buffer(count: kept(length * width)),
                largest: Buffer(count: Self.queryTile), totals: Buffer(count: Self.queryTile))
        }
    }

    /// Whether the CPU that this is compiled for has bf16 dot products.
    static var isFast: Bool { instructions_have_bf16() }

    static func padded(_ count: Int) -> Int { (count + 15) / 16 * 16 }

    /// One head of one sequence; `q` is its first query, `y` its first output, `lse` its first log-sum-exp, and
    /// `nextQ` the first query of the head that follows.
    func forward(
        thread: Int, q: UnsafePointer<BFloat16>, y: UnsafeMutablePointer<BFloat16>, lse: UnsafeMutablePointer<Float>,
        nextQ: UnsafePointer<BFloat16>?
    ) {
        let C = outputStride
        let worker = workers[thread]
        Packing.transposedWords(
            q + C, rows: context, stride: qkvStride, columns: headSize, padded: length,
            words: Self.padded(pairs),
            to: worker.keysTransposed.base, targetStride: transposedStride)
        Packing.rowPairs(
            q + 2 * C, rows: context, stride: qkvStride, columns: headSize, padded: length, to: worker.rowPairs.base,
            targetStride: width)
        for start in stride(from: 0, to: context, by: PackedProduct.rowBlock) {
            if let nextQ {
                for part in 0..<3 {
                    prefetch(nextQ + part * C, stride: qkvStride, start..<min(context, start + PackedProduct.rowBlock))
                }
            }
            forwardBlock(worker, start, q, y, lse)
        }
    }

    /// The outputs of eight queries.
    private func forwardBlock(
        _ worker: Worker, _ start: Int, _ q: UnsafePointer<BFloat16>, _ y: UnsafeMutablePointer<BFloat16>,
        _ lse: UnsafeMutablePointer<Float>
    ) {
        let rows = min(PackedProduct.rowBlock, context - start)
        let end = start + rows
        let scores = worker.scores.base
        let weights = worker.weights.base
        let sums = worker.sums.base
        let largest = worker.largest.base
        let totals = worker.totals.base
        Packing.pairs(
            q + start * qkvStride, rows: rows, stride: qkvStride, columns: headSize, padded: PackedProduct.rowBlock,
            to: worker.queries.base, targetStride: pairs)
        for keyStart in stride(from: 0, to: end, by: Self.keyTile) {
            let keys = Self.padded(min(Self.keyTile, end - keyStart))
            PackedProduct.run(
                worker.queries.base, aRow: pairs, aPair: 1, worker.keysTransposed.base + keyStart,
                bStride: transposedStride, scores, cStride: tileStride, columns: keys, pairs: pairs, accumulates: false)
            for i in 0..<rows {
                let visible = min(keys, start + i + 1 - keyStart)
                let row = scores + i * tileStride
                let previous = keyStart == 0 ? -Float.infinity : largest[i]
                let most = max(previous, largestElement(row, visible))
                let total = writePowers(
                    of: row, visible, keys: keys, minus: most, scale, to: weights + i * tileStride)
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
            }
            PackedProduct.run(
                words(weights), aRow: tileStride / 2, aPair: 1, worker.rowPairs.base + keyStart / 2 * width,
                bStride: width, sums, cStride: width, columns: width, pairs: keys / 2, accumulates: keyStart > 0)
        }
        for i in 0..<rows {
            let inverse = splat(1 / totals[i])
            for d in stride(from: 0, to: headSize, by: 16) {
                BFloat16.store(
                    Float.load16(sums + i * width + d) * inverse, to: y + (start + i) * outputStride + d,
                    count: headSize - d)
            }
            lse[start + i] = largest[i] * scale + log(totals[i])
        }
    }

    /// Asks for a head's elements in a range of rows. A head is a narrow column of a wide matrix, whose lines the CPU
    /// does not foresee.
    func prefetch(_ first: UnsafePointer<BFloat16>, stride: Int, _ rows: Range<Int>) {
        for row in rows {
            for column in Swift.stride(from: 0, to: headSize, by: 32) {
                instructions_prefetch(first + row * stride + column)
            }
        }
    }

    func words(_ elements: UnsafePointer<BFloat16>) -> UnsafePointer<UInt32> {
        UnsafeRawPointer(elements).assumingMemoryBound(to: UInt32.self)
    }

    func worker(_ thread: Int) -> Worker { workers[thread] }
}
