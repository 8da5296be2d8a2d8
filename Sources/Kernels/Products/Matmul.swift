/// A matrix product that the threads of a rank share by rows of the result: c = a · b, or c += a · b.
///
/// Shapes are those of the mathematics: c[rows, columns] = a[rows, inner] · b[inner, columns]. A transposed operand is
/// stored the other way round. Made once; executing it allocates nothing.
///
/// Where it pays, b is brought into oneDNN's own format first (`PackedOperand`), and a transposed a is turned round piece
/// by piece into memory that is still in the cache when the product reads it. Gradients of weights are computed without
/// oneDNN where that is faster (`WeightGradientProduct`).
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

    private let rows, inner, columns: Int
    private let workspace: Workspace
    private let layout: Layout
    private let hasBias: Bool
    /// Where b is packed; nil for a product that oneDNN computes from plain operands.
    private let operand: PackedOperand?
    /// Whether b can be there still when the product runs again: packed whole, and in memory that no other product takes.
    private let keepsOperand: Bool
    /// What is computed one after the other: all columns at once, or as many as b may be packed of.
    private let pieces: [Piece]
    /// What computes the product instead of oneDNN's parts.
    private let weightGradient: WeightGradientProduct?

    private struct Part {
        var kernel: OneDNNMatmul
        var thread: Int
        var rows: Range<Int>
    }

    private struct Piece {
        var columns: Range<Int>
        var parts: [Part]
    }

    /// Whether b is packed first.
    package var isPacked: Bool { operand != nil }
    /// Whether the product is computed without oneDNN.
    package var isOwn: Bool { weightGradient != nil }

    /// From this many rows on, packing b costs less than it gains. A transposed a is always worth it: the way that oneDNN
    /// takes for it otherwise allocates memory at each call.
    private static func leastPackedRows(_ layout: Layout) -> Int { layout == .aTransposed ? 1 : 64 }
    /// Bytes of a transposed a that are turned round at a time.
    private static var turnedBytes: Int { 512 << 10 }

    /// Plans a product of operands whose rows have no gaps.
    ///
    /// - Parameter operand: where b is packed; by default in memory that all products of the workspace share, one after
    ///   the other. Products with an operand of their own can use it several times (`run`, `reusingOperand`), and are
    ///   always oneDNN's.
    /// - Parameter operandLimit: bytes that a packed b may take, where it can be cut between its columns: they are
    ///   packed and multiplied one part after the other then. The bits are the same.
    /// - Throws: `KernelError` when oneDNN cannot plan the product or memory cannot be reserved.
    package init(
        _ workspace: Workspace, _ layout: Layout, rows: Int, inner: Int, columns: Int, input: Precision,
        output: Precision, bias: Bool = false, accumulates: Bool = false, operand: PackedOperand? = nil,
        operandLimit: Int = .max
    ) throws(KernelError) {
        (self.rows, self.inner, self.columns) = (rows, inner, columns)
        self.workspace = workspace
        self.layout = layout
        let shape = MatmulShape(
            m: rows, n: columns, k: inner, layout: layout, aStride: layout == .aTransposed ? rows : inner,
            input: input, output: output, bias: bias, accumulates: accumulates)
        hasBias = bias

        let isWeightGradient = layout == .aTransposed && output == .fp32 && !bias && operand == nil
        if isWeightGradient, WeightGradientProduct.isFaster(inner: inner, input) {
            self.operand = nil
            keepsOperand = false
            pieces = []
            weightGradient = try WeightGradientProduct(
                workspace, rows: rows, inner: inner, columns: columns, accumulates: accumulates)
            return
        }
        weightGradient = nil
        let cuts = Self.cuts(shape, operandLimit)
        if rows >= Self.leastPackedRows(layout), let pieces = try Self.packedPieces(workspace, shape, cuts) {
            keepsOperand = operand != nil && pieces.count == 1
            let operand = operand ?? workspace.operand
            try operand.reserve(inner: inner, columns: cuts.map(\.count).max() ?? columns, input)
            self.operand = operand
            self.pieces = pieces
        } else {
            self.operand = nil
            keepsOperand = false
            pieces = [Piece(columns: 0..<columns, parts: try Self.plainParts(workspace, shape))]
        }
    }

    /// The columns of b that are packed at once: whole panels of them.
    private static func cuts(_ shape: MatmulShape, _ limit: Int) -> [Range<Int>] {
        let width = PackedOperand.panelWidth
        let panelBytes = PackedOperand.byteCount(inner: shape.k, columns: width, shape.input)
        let panels = PackedOperand.panels(shape.n)
        let count = (panels + max(1, limit / panelBytes) - 1) / max(1, limit / panelBytes)
        return (0..<count).map { cut in
            let range = ThreadPool.share(of: panels, grain: 1, part: cut, of: count)
            return range.lowerBound * width..<min(range.upperBound * width, shape.n)
        }
    }

    private static func packedPieces(
        _ workspace: Workspace, _ whole: MatmulShape, _ cuts: [Range<Int>]
    ) throws(KernelError) -> [Piece]? {
        precondition(cuts.count == 1 || !whole.accumulates, "a product in pieces that adds")
        var pieces: [Piece] = []
        for columns in cuts {
            var shape = whole
            shape.n = columns.count
            guard let parts = try packedParts(workspace, shape) else { return nil }
            pieces.append(Piece(columns: columns, parts: parts))
            guard cuts.count > 1 else { break }
            let most = parts.map(\.rows.count).max() ?? 0
            try workspace.reserve(result: most * columns.count * whole.output.byteCount)
        }
        return pieces
    }

    /// Parts whose kernels read a packed b and an a without gaps; nil where oneDNN has none on this CPU.
    private static func packedParts(_ workspace: Workspace, _ whole: MatmulShape) throws(KernelError) -> [Part]? {
        let rowBytes = whole.k * whole.input.byteCount
        let turns = whole.layout == .aTransposed
        let most = turns ? max(64, turnedBytes / rowBytes / 16 * 16) : whole.m
        var shape = whole
        (shape.layout, shape.aStride, shape.bPacked) = (.plain, whole.k, true)
        let threads = workspace.compute.pool.threadCount
        var parts: [Part] = []
        for thread in 0..<threads {
            let share = ThreadPool.share(of: whole.m, grain: 16, part: thread, of: threads)
            let pieces = (share.count + most - 1) / most
            for piece in 0..<pieces {
                let range = ThreadPool.share(of: share.count, grain: 16, part: piece, of: pieces)
                guard !range.isEmpty else { continue }
                let start = share.lowerBound + range.lowerBound
                shape.m = range.count
                guard let kernels = try workspace.compute.packedKernels(for: shape) else { return nil }
                parts.append(Part(kernel: kernels[thread], thread: thread, rows: start..<start + range.count))
                try workspace.reserve(
                    scratch: kernels[thread].scratchBytes, turned: turns ? range.count * rowBytes : 0)
            }
        }
        return parts
    }

    private static func plainParts(_ workspace: Workspace, _ whole: MatmulShape) throws(KernelError) -> [Part] {
        var shape = whole
        var parts: [Part] = []
        // oneDNN sums in another order when a transposed operand has no gaps between its rows, as a whole one has and a
        // part of one has not. One thread cuts it too, so that every number of threads gives the same bits.
        let threads = workspace.compute.pool.threadCount
        let cuts = whole.layout == .aTransposed ? max(2, threads) : threads
        for cut in 0..<cuts {
            let share = ThreadPool.share(of: whole.m, grain: 16, part: cut, of: cuts)
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
    /// last product with the same `PackedOperand` had, and is not packed again where it is still there. Where b is packed
    /// it may be fp32 beside a bf16 a: it is rounded on the way.
    package func run<Input: ActivationElement, Right: ActivationElement, Output: ActivationElement>(
        _ a: BufferSlice<Input>, _ b: BufferSlice<Right>, into c: BufferSlice<Output>, bias: BufferSlice<Float>? = nil,
        reusingOperand: Bool = false
    ) {
        let reuses = reusingOperand && keepsOperand
        precondition(
            a.count >= rows * inner && (reuses || b.count >= inner * columns) && c.count >= rows * columns
                && (bias?.count ?? columns) >= columns,
            "a product of [\(rows), \(inner)] and [\(inner), \(columns)] was lent too little memory")
        precondition(
            Right.self == Input.self || (isPacked && Right.precision == .fp32),
            "a product that cannot round its right operand")
        precondition((bias != nil) == hasBias, "a product \(hasBias ? "with" : "without") bias")
        if let weightGradient {
            let c = UnsafeMutableRawPointer(c.pointer).assumingMemoryBound(to: Float.self)
            return weightGradient.run(
                a.pointer, UnsafeRawPointer(b.pointer).assumingMemoryBound(to: Input.self), into: c)
        }
        for piece in pieces {
            let first = piece.columns.lowerBound
            if let operand, !reuses {
                operand.pack(
                    b.pointer + first * (layout == .bTransposed ? inner : 1), as: Input.self, inner: inner,
                    columns: piece.columns.count, rowStride: columns, transposed: layout == .bTransposed,
                    workspace.compute.pool)
            }
            let right = operand.map { UnsafeRawPointer($0.words.base) } ?? UnsafeRawPointer(b.pointer)
            let bias = bias.map { $0.pointer + first }
            // One part, as of a single row, needs no other thread.
            if piece.parts.count == 1 {
                multiply(piece.parts[0], of: piece.columns, a.pointer, right, c.pointer, bias: bias)
                continue
            }
            workspace.compute.pool.run { thread in
                for part in piece.parts where part.thread == thread {
                    multiply(part, of: piece.columns, a.pointer, right, c.pointer, bias: bias)
                }
            }
        }
    }

    /// Computes a part of these columns; `right` and `bias` begin with the first of them.
    private func multiply<Input: ActivationElement, Output: ActivationElement>(
        _ part: Part, of range: Range<Int>, _ a: UnsafePointer<Input>, _ right: UnsafeRawPointer,
        _ c: UnsafeMutablePointer<Output>, bias: UnsafePointer<Float>?
    ) {
        var left = a + part.rows.lowerBound * (layout == .aTransposed ? 1 : inner)
        if operand != nil, layout == .aTransposed {
            let turned = UnsafeMutableRawPointer(workspace.turned[part.thread].base)
                .assumingMemoryBound(to: Input.self)
            Packing.transpose(
                left, rows: inner, stride: rows, columns: part.rows.count, to: turned,
                gathering: workspace.gathered[part.thread].base)
            left = UnsafePointer(turned)
        }
        // oneDNN has no blocked product whose result has gaps between its rows.
        let isWhole = range.count == columns
        let target = c + part.rows.lowerBound * columns + range.lowerBound
        let result =
            isWhole
            ? target
            : UnsafeMutableRawPointer(workspace.results[part.thread].base).assumingMemoryBound(to: Output.self)
        workspace.compute.note(
            part.kernel.run(left, right, result, bias: bias, scratch: workspace.scratch[part.thread].base))
        guard !isWhole else { return }
        for row in 0..<part.rows.count {
            (target + row * columns).update(from: result + row * range.count, count: range.count)
        }
    }
}
