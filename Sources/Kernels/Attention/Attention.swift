// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

import CInstructions

// B: sequences, T: context, H: heads, G: heads of keys and values, D: head size, C = H · D; N = B · T rows.
// q, k and v of a row lie in W = (H + 2G) · D columns, where HeadColumns says; the heads' outputs lie side by side.
// P: words of a head's row, words as in Packing.swift. Padded sizes are multiples of 16.

/// Causal self-attention in tiles, with an online softmax (Dao et al. 2022; Milakov & Gimelshein 2018).
///
/// Keys and values of a head are packed into words once and serve all queries of the heads that share them. Scores
/// exist for eight queries and up to 256 keys at a time and stay in the L1 cache; what lies above the diagonal is skipped
/// in steps of 16 keys, and no T × T matrix exists. The forward pass keeps one number a row and head, the log of the
/// softmax's denominator, from which the backward pass computes the probabilities again.
///
/// Threads share the B · G groups of heads with the same keys and values, so bits do not depend on their number. Where
/// there are fewer groups than threads, or not many more, the work is shared unevenly.
package final class Attention<E: ActivationElement>: @unchecked Sendable {
    /// Queries whose key and value gradients are summed in one product.
    static var queryTile: Int { 64 }
    /// Keys whose scores exist at a time.
    static var keyTile: Int { 256 }

    let sequences, context: Int
    let columns: HeadColumns
    /// D.
    let headSize: Int
    let pool: ThreadPool
    /// Elements from one row of queries, keys and values to the next, W, and of the output, C.
    let qkvStride, outputStride: Int
    /// P.
    let rowWords: Int
    /// D and T, padded.
    let width, length: Int
    /// Words from one row of a transposed operand to the next: 16 more than a power of two, so that rows do not share
    /// cache sets.
    let transposedStride: Int
    /// Elements from one row of scores to the next.
    let tileStride: Int
    let workers: [Worker]

    /// What one thread computes with.
    struct Worker {
        /// [P, T] words of keys and values, the right operands of scores and of probability gradients.
        let keysTransposed, valuesTransposed: Buffer<UInt32>
        /// [T in words, D] values in the forward pass, keys in the backward pass: right operands of weighted sums.
        let rows: Buffer<UInt32>
        /// [8, P] queries and output gradients.
        let queries, outputGradients: Buffer<UInt32>
        /// [8, keys]
        let scores, probabilityGradients: Buffer<Float>
        /// [8, keys] probabilities in the forward pass, score gradients in the backward pass.
        let weights: Buffer<E>
        /// [64, D] the weighted sums of a tile's queries.
        let sums: Buffer<Float>
        /// [64 in words, keys] probabilities and score gradients of a tile's queries: left operands, transposed.
        let probabilityWords, scoreGradientWords: Buffer<UInt32>
        /// [64 in words, D] queries and output gradients of a tile.
        let queryWords, outputGradientWords: Buffer<UInt32>
        /// [T, D]
        let keyGradients, valueGradients: Buffer<Float>
        /// [64] each.
        let largest, totals: Buffer<Float>
    }

    /// Plans attention over `sequences` sequences of `context` tokens, whose heads lie in `columns`; without
    /// `training`, the forward pass alone.
    /// - Throws: `KernelError` when memory cannot be reserved.
    package init(
        _ compute: Compute, sequences: Int, context: Int, columns: HeadColumns, training: Bool = true,
        memory: Memory = Memory()
    ) throws(KernelError) {
        precondition(
            columns.heads == columns.keyValueHeads * columns.groupSize,
            "\(columns.heads) heads cannot share \(columns.keyValueHeads) heads of keys and values")
        pool = compute.pool
        self.sequences = sequences
        self.context = context
        self.columns = columns
        headSize = columns.headSize
        qkvStride = columns.width
        outputStride = columns.outputWidth
        rowWords = Packing.wordCount(headSize, E.self)
        width = Self.padded(headSize)
        length = Self.padded(context)
        transposedStride = length + 16
        tileStride = min(Self.keyTile, length) + 16
        let (words, width, length, stride, tile) = (rowWords, width, length, tileStride, Self.queryTile)
        let transposed = Self.padded(words) * transposedStride
        let block = PackedProduct.rowBlock
        let tileWords = Packing.wordCount(tile, E.self)
        func buffer<Element>(_ count: Int, kept: Bool = true) throws(KernelError) -> Buffer<Element> {
            try memory.buffer(.scratch, kept ? count : 0)
        }
        workers = try (0..<pool.threadCount).map { (_) throws(KernelError) in
            Worker(
                keysTransposed: try buffer(transposed), valuesTransposed: try buffer(transposed, kept: training),
                rows: try buffer(Packing.wordCount(length, E.self) * width), queries: try buffer(block * words),
                outputGradients: try buffer(block * words, kept: training), scores: try buffer(block * stride),
                probabilityGradients: try buffer(block * stride, kept: training), weights: try buffer(block * stride),
                sums: try buffer(tile * width), probabilityWords: try buffer(tileWords * stride, kept: training),
                scoreGradientWords: try buffer(tileWords * stride, kept: training),
                queryWords: try buffer(tileWords * width, kept: training),
                outputGradientWords: try buffer(tileWords * width, kept: training),
                keyGradients: try buffer(length * width, kept: training),
                valueGradients: try buffer(length * width, kept: training), largest: try buffer(tile),
                totals: try buffer(tile))
        }
    }

    static func padded(_ count: Int) -> Int { (count + 15) / 16 * 16 }

    /// Where the first query, key, value, output and log-sum-exp of a head of one sequence lie.
    struct Place {
        let query, key, value, output, logSumExp: Int
        /// It is the first, or the last, of the heads that share its keys and values.
        let isFirst, isLast: Bool
    }

    /// The place of a (sequence, head) pair: head `pair` % H of sequence `pair` / H. A group's pairs follow each other.
    func place(of pair: Int) -> Place {
        let (sequence, head) = pair.quotientAndRemainder(dividingBy: columns.heads)
        let (group, member) = head.quotientAndRemainder(dividingBy: columns.groupSize)
        let row = sequence * context
        return Place(
            query: row * qkvStride + columns.query(head), key: row * qkvStride + columns.key(group),
            value: row * qkvStride + columns.value(group), output: row * outputStride + head * headSize,
            logSumExp: pair * context, isFirst: member == 0, isLast: member == columns.groupSize - 1)
    }

    /// The place of the pair that follows; of the last one, its own.
    func place(after pair: Int) -> Place { place(of: min(pair + 1, sequences * columns.heads - 1)) }

    /// The pairs of a thread's groups.
    func pairs(of groups: Range<Int>) -> Range<Int> {
        groups.lowerBound * columns.groupSize..<groups.upperBound * columns.groupSize
    }

    /// Asks for a head's queries, keys, values or outputs in a range of rows. A head is a narrow column of a wide
    /// matrix, whose lines the CPU does not foresee.
    @inline(__always)
    func prefetch(_ first: UnsafePointer<E>, stride: Int, _ rows: Range<Int>) {
        for row in rows {
            for column in Swift.stride(from: 0, to: headSize, by: 64 / MemoryLayout<E>.stride) {
                instructions_prefetch(first + row * stride + column)
            }
        }
    }

    @inline(__always)
    func words(_ elements: UnsafePointer<E>) -> UnsafePointer<UInt32> {
        UnsafeRawPointer(elements).assumingMemoryBound(to: UInt32.self)
    }
}
