/// A matrix product that the threads of a rank share by rows of the result: c = a · b, or c += a · b.
///
/// Shapes are those of the mathematics: c[rows, columns] = a[rows, inner] · b[inner, columns]. A transposed operand is
/// stored the other way round. Made once; executing it allocates nothing.
public final class Matmul: @unchecked Sendable {
    /// The operands' storage.
    public enum Layout: Sendable {
        /// a[rows, inner] · b[inner, columns]: the forward pass, with weights stored [in, out].
        case plain
        /// a[rows, inner] · b[columns, inner]ᵀ: gradients of inputs, and the language-model head.
        case bTransposed
        /// a[inner, rows]ᵀ · b[inner, columns]: gradients of weights.
        case aTransposed
    }

    /// Rows, columns and inner length.
    public let rows: Int
    /// Columns of the result.
    public let columns: Int
    /// The length that is summed over.
    public let inner: Int
    private let compute: Compute
    private let parts: [Part]

    private struct Part {
        var kernel: TileMatmul
        var aByteOffset: Int
        var cByteOffset: Int
    }

    /// Plans a product. Strides are in elements and default to rows without gaps.
    public init(
        _ compute: Compute, _ layout: Layout, rows: Int, inner: Int, columns: Int, input: Precision, output: Precision,
        aStride: Int? = nil, bStride: Int? = nil, cStride: Int? = nil, bias: Bool = false, accumulates: Bool = false
    ) throws(KernelError) {
        self.rows = rows
        self.columns = columns
        self.inner = inner
        self.compute = compute
        var shape = TileShape(
            m: rows, n: columns, k: inner,
            aStride: aStride ?? (layout == .aTransposed ? rows : inner), aTransposed: layout == .aTransposed,
            bStride: bStride ?? (layout == .bTransposed ? inner : columns), bTransposed: layout == .bTransposed,
            cStride: cStride ?? columns, input: input, output: output, bias: bias, accumulates: accumulates)
        var parts: [Part] = []
        // oneDNN sums in another order when a transposed operand has no gaps between its rows, as a whole one has and a
        // part of one has not. One thread cuts it too, so that every number of threads gives the same bits.
        let threads = compute.pool.threadCount
        let cuts = layout == .aTransposed ? max(2, threads) : threads
        for cut in 0..<cuts {
            let share = ThreadPool.share(of: rows, grain: 16, part: cut, of: cuts)
            guard !share.isEmpty else { break }
            shape.m = share.count
            let aStep = layout == .aTransposed ? 1 : shape.aStride
            parts.append(
                Part(
                    kernel: try compute.tileKernels(shape)[min(cut, threads - 1)],
                    aByteOffset: share.lowerBound * aStep * input.byteCount,
                    cByteOffset: share.lowerBound * shape.cStride * output.byteCount))
        }
        // A product of fewer than 16 rows has one part, which may belong to any thread: it runs on the caller's.
        if parts.isEmpty {
            shape.m = rows
            parts.append(Part(kernel: try compute.tileKernels(shape)[0], aByteOffset: 0, cByteOffset: 0))
        }
        self.parts = parts
    }

    /// Computes the product. `bias` is needed exactly when it was planned.
    public func run<Input: ActivationElement, Output: ActivationElement>(
        _ a: BufferSlice<Input>, _ b: BufferSlice<Input>, into c: BufferSlice<Output>, bias: BufferSlice<Float>? = nil
    ) {
        let aStart = UnsafeRawPointer(a.pointer)
        let cStart = UnsafeMutableRawPointer(c.pointer)
        if parts.count == 1 {
            return parts[0].kernel.run(
                aStart, b.pointer, cStart, bias: bias?.pointer, scratch: compute.scratchMemory(thread: 0))
        }
        compute.pool.run { thread in
            for part in stride(from: thread, to: parts.count, by: compute.pool.threadCount) {
                parts[part].kernel.run(
                    aStart + parts[part].aByteOffset, b.pointer, cStart + parts[part].cByteOffset, bias: bias?.pointer,
                    scratch: compute.scratchMemory(thread: thread))
            }
        }
    }
}

extension Precision {
    /// Bytes of one element.
    public var byteCount: Int { self == .bf16 ? 2 : 4 }
}
