// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature. N: rows, C: columns.

/// Memory for sums over rows: each chunk of 64 rows has a sum of its own, and these are added in order.
///
/// The chunks depend on the number of rows alone, so the result has the same bits at any number of threads.
package final class Partials: @unchecked Sendable {
    static let rowsPerChunk = 64
    private let sums: Buffer<Float>

    /// Room for sums over `rows` rows of `columns` columns.
    /// - Throws: `KernelError` when the memory cannot be reserved.
    package init(rows: Int, columns: Int, memory: Memory = Memory()) throws(KernelError) {
        sums = try memory.buffer(.activations, Partials.chunkCount(rows), columns)
    }

    static func chunkCount(_ rows: Int) -> Int { rows / rowsPerChunk + (rows % rowsPerChunk == 0 ? 0 : 1) }

    /// Calls `body` for each row in order, with the sums of its chunk, which start at zero. Threads share the chunks.
    @inline(__always)
    func forEachRow(
        _ pool: ThreadPool, rows: Int, columns: Int, _ body: (_ row: Int, _ sums: UnsafeMutablePointer<Float>) -> Void
    ) {
        precondition(Partials.chunkCount(rows) * columns <= sums.count, "too little room for sums over rows")
        pool.split(rows, grain: Partials.rowsPerChunk) { _, range in
            for first in stride(from: range.lowerBound, to: range.upperBound, by: Partials.rowsPerChunk) {
                let chunk = sums.base + first / Partials.rowsPerChunk * columns
                chunk.update(repeating: 0, count: columns)
                for row in first..<min(first + Partials.rowsPerChunk, range.upperBound) { body(row, chunk) }
            }
        }
    }

    /// Adds the chunks' sums of `count` columns, from column `first` on, to one.
    func combine(rows: Int, columns: Int, from first: Int, count: Int, into target: BufferSlice<Float>) {
        let chunks = Partials.chunkCount(rows)
        let firstSum = sums.base + first
        for c in stride(from: 0, to: count, by: 16) {
            let left = count - c
            var total = Float.load(firstSum + c, count: left)
            for chunk in 1..<max(chunks, 1) { total += Float.load(firstSum + chunk * columns + c, count: left) }
            Float.store(total, to: target.pointer + c, count: left)
        }
    }
}

/// Sums over rows.
package enum ColumnSum {
    /// `target` [C] = sum over rows of `x` [N, C]: the gradient of a bias.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func compute<E: ActivationElement>(
        _ pool: ThreadPool, _ x: BufferSlice<E>, rows N: Int, columns C: Int, partials: Partials,
        into target: BufferSlice<Float>
    ) {
        precondition(x.count >= N * C && target.count >= C, "too little memory for [\(N), \(C)]")
        partials.forEachRow(pool, rows: N, columns: C) { n, sums in
            let row = x.pointer + n * C
            let full = C / 16 * 16
            for c in stride(from: 0, to: full, by: 16) {
                Float.store16(Float.load16(sums + c) + E.load16(row + c), to: sums + c)
            }
            for c in full..<C { sums[c] += row[c].float }
        }
        partials.combine(rows: N, columns: C, from: 0, count: C, into: target)
    }
}
