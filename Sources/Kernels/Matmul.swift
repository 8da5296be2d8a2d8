/// A matrix product that the threads of a rank share by rows of the result: c = a · b, or c += a · b.
///
/// Shapes are those of the mathematics: c[rows, columns] = a[rows, inner] · b[inner, columns]. A transposed operand is
/// stored the other way round. Made once; executing it allocates nothing.
///
/// Where it pays, b is brought into oneDNN's own format first (`PackedOperand`), and a transposed a is turned round piece
/// by piece into memory that is still in the cache when the product reads it.
package final class Matmul: @unchecked Sendable {
    /// The operands' storage.
    package enum Layout: Sendable {
        /// a[rows, inner] · b[inner, columns]: the forward pass, with weights stored [in, out].
        case plain
        /// a[rows, inner] · b[columns, inner]ᵀ: gradients of inputs, and the language-model head.
        case bTransposed
        /// a[inner, rows]ᵀ · b[inner, columns]: gradients of weights.
        case aTransposed
    }

    /// Rows, columns and inner length.
    package let rows: Int
    /// Columns of the result.
    package let columns: Int
    /// The length that is summed over.
    package let inner: Int
    private let workspace: Workspace
    private let layout: Layout
    private let strides: (a: Int, b: Int, c: Int)
    private let hasBias: Bool
    /// Where b is packed; nil for a product that oneDNN computes from plain operands.
    private let operand: PackedOperand?
    private let parts: [Part]

    private struct Part {
        var kernel: OneDNNMatmul
        var thread: Int
        var rows: Range<Int>
    }

    /// Whether b is packed first.
    package var isPacked: Bool { operand != nil }

    /// From this many rows on, packing b costs less than it gains. A transposed a is always worth it: the way that oneDNN
    /// takes for it otherwise allocates memory at each call.
    private static func leastPackedRows(_ layout: Layout) -> Int { layout == .aTransposed ? 1 : 64 }
    /// Bytes of a transposed a that are turned round at a time.
    private static var turnedBytes: Int { 512 << 10 }

    /// Plans a product. Strides are in elements and default to rows without gaps.
    ///
    /// - Parameter operand: where b is packed; by default in memory that all products of the workspace share, one after
    ///   the other. Products with an operand of their own can use it several times (`run`, `reusingOperand`).
    /// - Throws: `KernelError` when oneDNN cannot plan the product or memory cannot be reserved.
    package init(
        _ workspace: Workspace, _ layout: Layout, rows: Int, inner: Int, columns: Int, input: Precision,
        output: Precision,
        aStride: Int? = nil, bStride: Int? = nil, cStride: Int? = nil, bias: Bool = false, accumulates: Bool = false,
        operand: PackedOperand? = nil
    ) throws(KernelError) {
        self.rows = rows
        self.columns = columns
        self.inner = inner
        self.workspace = workspace
        self.layout = layout
        var shape = MatmulShape(
            m: rows, n: columns, k: inner,
            aStride: aStride ?? (layout == .aTransposed ? rows : inner), aTransposed: layout == .aTransposed,
            bStride: bStride ?? (layout == .bTransposed ? inner : columns), bTransposed: layout == .bTransposed,
            cStride: cStride ?? columns, input: input, output: output, bias: bias, accumulates: accumulates)
        strides = (shape.aStride, shape.bStride, shape.cStride)
        hasBias = bias

        if rows >= Self.leastPackedRows(layout),
            let parts = try Self.packedParts(workspace, shape, rows: rows, layout)
        {
            let operand = operand ?? workspace.operand
            try operand.reserve(inner: inner, columns: columns, input)
            self.operand = operand
            self.parts = parts
        } else {
            self.operand = nil
            parts = try Self.plainParts(workspace, &shape, rows: rows, layout)
        }
    }

    /// Parts whose kernels read a packed b and an a without gaps; nil where oneDNN has none on this CPU.
    private static func packedParts(
        _ workspace: Workspace, _ shape: MatmulShape, rows: Int, _ layout: Layout
    ) throws(KernelError) -> [Part]? {
        var shape = shape
        let rowBytes = shape.k * shape.input.byteCount
        var most = rows
        if layout == .aTransposed {
            shape.aTransposed = false
            shape.aStride = shape.k
            most = max(64, turnedBytes / rowBytes / 16 * 16)
        } else if shape.aStride != shape.k {
            return nil
        }
        let threads = workspace.compute.pool.threadCount
        var parts: [Part] = []
        for thread in 0..<threads {
            let share = ThreadPool.share(of: rows, grain: 16, part: thread, of: threads)
            let pieces = (share.count + most - 1) / most
            for piece in 0..<pieces {
                let range = ThreadPool.share(of: share.count, grain: 16, part: piece, of: pieces)
                guard !range.isEmpty else { continue }
                let start = share.lowerBound + range.lowerBound
                shape.m = range.count
                guard let kernels = try workspace.compute.packedKernels(for: shape) else { return nil }
                parts.append(Part(kernel: kernels[thread], thread: thread, rows: start..<start + range.count))
                try workspace.reserve(
                    scratch: kernels[thread].scratchBytes, turned: layout == .aTransposed ? range.count * rowBytes : 0)
            }
        }
        return parts
    }

    private static func plainParts(
        _ workspace: Workspace, _ shape: inout MatmulShape, rows: Int, _ layout: Layout
    ) throws(KernelError) -> [Part] {
        var parts: [Part] = []
        // oneDNN sums in another order when a transposed operand has no gaps between its rows, as a whole one has and a
        // part of one has not. One thread cuts it too, so that every number of threads gives the same bits.
        let threads = workspace.compute.pool.threadCount
        let cuts = layout == .aTransposed ? max(2, threads) : threads
        for cut in 0..<cuts {
            let share = ThreadPool.share(of: rows, grain: 16, part: cut, of: cuts)
            guard !share.isEmpty else { break }
            shape.m = share.count
            let thread = min(cut, threads - 1)
            let kernel = try workspace.compute.kernels(for: shape)[thread]
            try workspace.reserve(scratch: kernel.scratchBytes)
            parts.append(Part(kernel: kernel, thread: thread, rows: share))
        }
        return parts
    }

    /// Computes the product. `bias` is needed exactly when it was planned. With `reusingOperand`, b is the one that the
    /// last product with the same `PackedOperand` had, and is not packed again.
    package func run<Input: ActivationElement, Output: ActivationElement>(
        _ a: BufferSlice<Input>, _ b: BufferSlice<Input>, into c: BufferSlice<Output>, bias: BufferSlice<Float>? = nil,
        reusingOperand: Bool = false
    ) {
        // Rows of all three are `stride` apart, the last one without what lies behind it.
        func extent(_ rows: Int, _ columns: Int, _ stride: Int) -> Int { (rows - 1) * stride + columns }
        precondition(
            a.count
                >= (layout == .aTransposed ? extent(inner, rows, strides.a) : extent(rows, inner, strides.a))
                && (reusingOperand && operand != nil
                    || b.count
                        >= (layout == .bTransposed
                            ? extent(columns, inner, strides.b) : extent(inner, columns, strides.b)))
                && c.count >= extent(rows, columns, strides.c) && (bias?.count ?? columns) >= columns,
            "a product of [\(rows), \(inner)] and [\(inner), \(columns)] was lent too little memory")
        precondition((bias != nil) == hasBias, "a product \(hasBias ? "with" : "without") bias")
        if let operand, !reusingOperand {
            operand.pack(
                b.pointer, inner: inner, columns: columns, stride: strides.b, transposed: layout == .bTransposed,
                workspace.compute.pool)
        }
        let right = operand.map { UnsafeRawPointer($0.words.base) } ?? UnsafeRawPointer(b.pointer)
        let turns = operand != nil && layout == .aTransposed
        func multiply(_ part: Part) {
            var left = a.pointer + part.rows.lowerBound * (layout == .aTransposed ? 1 : strides.a)
            if turns {
                let turned = UnsafeMutableRawPointer(workspace.turned[part.thread].base)
                    .assumingMemoryBound(to: Input.self)
                Packing.transpose(
                    left, rows: inner, stride: strides.a, columns: part.rows.count, to: turned,
                    gathering: workspace.gathered[part.thread].base)
                left = turned
            }
            workspace.compute.note(
                part.kernel.run(
                    left, right, c.pointer + part.rows.lowerBound * strides.c, bias: bias?.pointer,
                    scratch: workspace.scratch[part.thread].base))
        }
        // One part, as of a single row, needs no other thread.
        if parts.count == 1 { return multiply(parts[0]) }
        workspace.compute.pool.run { thread in
            for part in parts where part.thread == thread { multiply(part) }
        }
    }
}

extension Precision {
    /// Bytes of one element.
    package var byteCount: Int { self == .bf16 ? 2 : 4 }
}
