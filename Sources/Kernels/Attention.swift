// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

import Glibc

// B: sequences, T: context, H: heads, D: head size, C = H · D; N = B · T rows.
// q, k, v lie side by side in rows of 3C; head h owns columns h · D ..< (h + 1) · D of each third.

/// Causal self-attention in tiles, with an online softmax (Dao et al. 2022; Milakov & Gimelshein 2018).
///
/// A tile is 64 queries by up to 256 keys; tiles above the diagonal are skipped, and no T × T matrix exists. The
/// forward pass keeps one number a row, the log of the softmax's denominator, from which the backward pass computes
/// the probabilities again. Threads share the (sequence, head) pairs, so bits do not depend on their number.
public final class Attention<E: ActivationElement>: @unchecked Sendable {
    static var queryTile: Int { 64 }
    static var keyTile: Int { 256 }

    let sequences: Int
    let context: Int
    let heads: Int
    let headSize: Int
    let compute: Compute
    let scale: Float
    /// Elements from one row of a tile to the next: not a multiple of 64, or rows would share cache sets.
    let tileStride: Int
    let workers: [Worker]
    /// What computes bf16 heads on a CPU with bf16 dot products.
    let packed: PackedAttention?

    /// Plans attention over `sequences` sequences of `context` tokens; without `training`, the forward pass alone.
    public convenience init(
        _ compute: Compute, sequences: Int, context: Int, heads: Int, headSize: Int, training: Bool = true
    ) throws(KernelError) {
        try self.init(
            compute, sequences: sequences, context: context, heads: heads, headSize: headSize, training: training,
            packed: E.precision == .bf16 && PackedAttention.isFast)
    }

    /// The same with the products chosen by the caller: `packed` ones (bf16 alone), or oneDNN's.
    package init(
        _ compute: Compute, sequences: Int, context: Int, heads: Int, headSize: Int, training: Bool = true,
        packed: Bool
    ) throws(KernelError) {
        precondition(!packed || E.precision == .bf16, "packed products are bf16 products")
        self.compute = compute
        self.sequences = sequences
        self.context = context
        self.heads = heads
        self.headSize = headSize
        scale = 1 / Float(headSize).squareRoot()
        self.packed =
            packed
            ? PackedAttention(
                threads: compute.pool.threadCount, context: context, heads: heads, headSize: headSize,
                training: training) : nil
        tileStride = min(Self.keyTile, (context + 15) / 16 * 16) + 16
        let shapes = TilePlanner(
            compute: compute, context: context, heads: heads, headSize: headSize, tileStride: tileStride,
            queryTile: Self.queryTile, keyTile: Self.keyTile, precision: E.precision, training: training)
        var workers: [Worker] = []
        for thread in 0..<(packed ? 0 : compute.pool.threadCount) {
            workers.append(
                Worker(
                    tiles: try shapes.tiles(thread: thread), tile: Self.queryTile * tileStride,
                    rows: Self.queryTile * headSize, whole: training ? context * headSize : 0))
        }
        self.workers = workers
    }

    /// `output` [N, C] from `qkv` [N, 3C]; keeps each row's log-sum-exp in `logSumExp` [B, H, T].
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    public func forward(qkv: BufferSlice<E>, output: BufferSlice<E>, logSumExp: BufferSlice<Float>) {
        compute.pool.split(sequences * heads) { thread, pairs in
            for pair in pairs { forwardHead(pair, thread, qkv.pointer, output.pointer, logSumExp.pointer) }
        }
    }

    /// How far the next pair's queries and outputs lie from this one's; nil after the last.
    func next(_ pair: Int) -> (qkv: Int, output: Int)? {
        guard pair + 1 < sequences * heads else { return nil }
        guard (pair + 1) % heads == 0 else { return (headSize, headSize) }
        let output = context * heads * headSize - (heads - 1) * headSize
        return (output + 2 * context * heads * headSize, output)
    }

    @inline(__always)
    private func forwardHead(
        _ pair: Int, _ thread: Int, _ qkv: UnsafePointer<E>, _ output: UnsafeMutablePointer<E>,
        _ logSumExp: UnsafeMutablePointer<Float>
    ) {
        let C = heads * headSize
        let (sequence, head) = pair.quotientAndRemainder(dividingBy: heads)
        let q = qkv + sequence * context * 3 * C + head * headSize
        let k = q + C
        let v = q + 2 * C
        let y = output + sequence * context * C + head * headSize
        let lse = logSumExp + pair * context
        if let packed {
            return packed.forward(
                thread: thread, q: asBFloat16(q), y: asBFloat16(y), lse: lse,
                nextQ: next(pair).map { asBFloat16(q + $0.qkv) })
        }
        let worker = workers[thread]
        let scores = worker.scores.base
        let probabilities = worker.probabilities.base
        let sums = worker.rows.base
        let largest = worker.statistics.base
        let totals = largest + Self.queryTile
        let memory = compute.scratchMemory(thread: thread)

        for tile in worker.tiles {
            tile.scores.run(q + tile.queryStart * 3 * C, k + tile.keyStart * 3 * C, scores, scratch: memory)
            for i in 0..<tile.queries {
                let visible = min(tile.keys, tile.queryStart + i + 1 - tile.keyStart)
                let row = scores + i * tileStride
                let best = largestElement(row, visible)
                let previous = tile.keyStart == 0 ? -Float.infinity : largest[i]
                let most = max(previous, best)
                let total = writePowers(
                    of: row, visible, keys: tile.keys, minus: most, scale, to: probabilities + i * tileStride)
                if tile.keyStart > 0 {
                    // What was summed so far was relative to a smaller maximum.
                    let correction = exp((previous - most) * scale)
                    totals[i] = totals[i] * correction + total
                    let sum = sums + i * headSize
                    for d in stride(from: 0, to: headSize, by: 16) {
                        let left = headSize - d
                        Float.store(Float.load(sum + d, count: left) * splat(correction), to: sum + d, count: left)
                    }
                } else {
                    totals[i] = total
                }
                largest[i] = most
            }
            tile.weightedSum.run(probabilities, v + tile.keyStart * 3 * C, sums, scratch: memory)
            guard tile.isLast else { continue }
            for i in 0..<tile.queries {
                let inverse = splat(1 / totals[i])
                let row = y + (tile.queryStart + i) * C
                let sum = sums + i * headSize
                for d in stride(from: 0, to: headSize, by: 16) {
                    let left = headSize - d
                    E.store(Float.load(sum + d, count: left) * inverse, to: row + d, count: left)
                }
                lse[tile.queryStart + i] = largest[i] * scale + log(totals[i])
            }
        }
    }
}

/// The same memory, where `E` is known to be `BFloat16`.
@_transparent
func asBFloat16<E>(_ pointer: UnsafeMutablePointer<E>) -> UnsafeMutablePointer<BFloat16> {
    UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: BFloat16.self)
}

@_transparent
func asBFloat16<E>(_ pointer: UnsafePointer<E>) -> UnsafePointer<BFloat16> {
    UnsafeRawPointer(pointer).assumingMemoryBound(to: BFloat16.self)
}

/// The largest of the first `count` elements.
@inline(__always)
func largestElement(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
    let full = count / 16 * 16
    var most = splat(-.infinity)
    for j in stride(from: 0, to: full, by: 16) { most = larger(most, Float.load16(x + j)) }
    var result = horizontalMax(most)
    for j in full..<count { result = max(result, x[j]) }
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
