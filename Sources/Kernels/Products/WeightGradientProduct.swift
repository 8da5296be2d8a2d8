// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// T, M, N: c[M, N] = a[T, M]ᵀ · b[T, N]; tokens are the rows of a and b.

/// The gradient of a weight: c = aᵀ · b, or c += aᵀ · b, in tiles of the result, from operands that each thread packs for
/// itself, a block at a time.
///
/// A number of c is a sum over blocks of 128 words (256 tokens in bf16, 128 in fp32) in their order, each summed one word
/// after the other from zero. Only that defines its bits: threads and blocks of rows cut the result, and never a sum.
struct WeightGradientProduct {
    /// A thread's share of the result.
    struct Part {
        var rows, columns: Range<Int>
        var isEmpty: Bool { rows.isEmpty || columns.isEmpty }
    }

    /// What is multiplied between two changes of a packed operand: rows of c, a panel of its columns, a block of tokens.
    private struct Piece {
        var block = 0
        var rows: Range<Int>
        var token = 0
        var column: Int
    }

    private let T, M, N: Int
    private let accumulates: Bool
    private let workspace: Workspace
    private let parts: [Part]

    /// Rows of c whose operand is packed at a time, at most: 200 KB, which stay in the L2 cache while all columns of c meet
    /// them.
    private static var blockRows: Int { 384 }
    /// Where a thread's scratch has the panels of a: behind one of b, and a tile for the edges of c.
    private static var leftOffset: Int { WeightGradientPanels.rightWords + tileRows * tileColumns }
    private static var tileRows: Int { WeightGradientPanels.leftWidth }
    private static var tileColumns: Int { WeightGradientPanels.rightWidth }

    /// Whether this is faster than oneDNN. The two sum in different orders, so this is a function of the shape, of what
    /// Kernels is compiled for and of what the CPU has, and never of a measurement in the run.
    ///
    /// Faster: with the instruction that multiplies words, unless the CPU has one for whole matrices; with 32 tokens or
    /// more, because for fewer the time goes into writing c (docs/performance.md has numbers).
    static func isFaster(inner T: Int, _ precision: Precision) -> Bool {
        let features = String(cString: compiledProcessorFeatures()).split(separator: " ")
        let hasInstruction =
            switch precision {
            case .fp32: features.contains("avx512f")
            case .bf16: features.contains("avx512_bf16") && !Compute.hasMatrixUnit
            }
        return hasInstruction && T >= 32
    }

    /// Plans a product, and reserves each thread's scratch.
    init(_ workspace: Workspace, rows M: Int, inner T: Int, columns N: Int, accumulates: Bool) throws(KernelError) {
        precondition(M > 0 && T > 0 && N > 0, "empty matrix product [\(M), \(T)] · [\(T), \(N)]")
        (self.T, self.M, self.N) = (T, M, N)
        (self.workspace, self.accumulates) = (workspace, accumulates)
        parts = Self.parts(rows: M, columns: N, threads: workspace.compute.pool.threadCount)
        let words = Self.leftOffset + WeightGradientPanels.leftWords(min(Self.blockRows, parts[0].rows.count))
        try workspace.reserve(scratch: 4 * words)
    }

    /// Rectangles of c, one a thread and the largest first, cut so that the first has as little to do as possible.
    static func parts(rows M: Int, columns N: Int, threads: Int) -> [Part] {
        func cut(_ down: Int) -> [Part] {
            let across = threads / down
            return (0..<threads).map { thread in
                Part(
                    rows: ThreadPool.share(of: M, grain: tileRows, part: thread / across, of: down),
                    columns: ThreadPool.share(of: N, grain: tileColumns, part: thread % across, of: across))
            }
        }
        // Packing a row or a column takes about as long as eight numbers of c.
        func cost(_ part: Part) -> Int { saturatingProduct(part.rows.count + 8, part.columns.count + 8) }
        let ways = (1...threads).filter { threads % $0 == 0 }.map(cut)
        return ways.min { cost($0[0]) < cost($1[0]) } ?? cut(threads)
    }

    /// Computes c from operands of the planned shapes.
    func run<E: ActivationElement>(
        _ a: UnsafePointer<E>, _ b: UnsafePointer<E>, into c: UnsafeMutablePointer<Float>
    ) {
        // One part, as of a small result, needs no other thread.
        if parts.count == 1 || parts[1].isEmpty { return multiply(parts[0], a, b, c, workspace.scratch[0].base) }
        workspace.compute.pool.run { thread in
            if !parts[thread].isEmpty { multiply(parts[thread], a, b, c, workspace.scratch[thread].base) }
        }
    }

    @inline(never)
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    private func multiply<E: ActivationElement>(
        _ part: Part, _ a: UnsafePointer<E>, _ b: UnsafePointer<E>, _ c: UnsafeMutablePointer<Float>,
        _ scratch: UnsafeMutablePointer<UInt8>
    ) {
        let right = UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: UInt32.self)
        let left = right + Self.leftOffset
        var next: Piece? = first(part)
        while let piece = next {
            let tokens = tokens(from: piece, E.self)
            if piece.column == part.columns.lowerBound {
                WeightGradientPanels.packLeft(
                    a + piece.token * M + piece.rows.lowerBound, stride: M, tokens: tokens, rows: piece.rows.count,
                    to: left)
            }
            let columns = min(Self.tileColumns, part.columns.upperBound - piece.column)
            WeightGradientPanels.packRight(
                b + piece.token * N + piece.column, stride: N, tokens: tokens, columns: columns, to: right)
            next = following(piece, part, E.self)
            multiply(piece, columns, left, right, c, ahead(of: piece, next, a, b, c))
        }
    }

    /// The tiles of a piece, one below the other.
    @_transparent
    private func multiply<E: ActivationElement>(
        _ piece: Piece, _ columns: Int, _ left: UnsafePointer<UInt32>, _ right: UnsafeMutablePointer<UInt32>,
        _ c: UnsafeMutablePointer<Float>, _ whatFollows: WeightGradientTile.Ahead<E>
    ) {
        let words = WeightGradientPanels.words(tokens(from: piece, E.self), E.self)
        let adds = accumulates || piece.token > 0
        var ahead = whatFollows
        for row in stride(from: piece.rows.lowerBound, to: piece.rows.upperBound, by: Self.tileRows) {
            let tile = c + row * N + piece.column
            let isLast = row + Self.tileRows >= piece.rows.upperBound
            ahead.result = isLast ? whatFollows.result : UnsafePointer(tile + Self.tileRows * N)
            let panel = left + (row - piece.rows.lowerBound) / Self.tileRows * WeightGradientPanels.leftStep
            let rows = min(Self.tileRows, piece.rows.upperBound - row)
            if rows == Self.tileRows, columns == Self.tileColumns {
                WeightGradientTile.run(panel, right, words: words, tile, step: N, accumulates: adds, ahead)
            } else {
                let edge = UnsafeMutableRawPointer(right + WeightGradientPanels.rightWords)
                    .assumingMemoryBound(to: Float.self)
                WeightGradientTile.run(
                    panel, right, words: words, edge, step: Self.tileColumns, accumulates: false, ahead)
                store(edge, rows, columns, to: tile, adds)
            }
            ahead.advance(words: words)
        }
    }

    /// Writes the part of a tile that c has, or adds it.
    @inline(never)
    private func store(
        _ tile: UnsafePointer<Float>, _ rows: Int, _ columns: Int, to c: UnsafeMutablePointer<Float>, _ adds: Bool
    ) {
        for row in 0..<rows {
            for column in stride(from: 0, to: columns, by: 16) {
                let to = c + row * N + column
                var sums = Float.load16(tile + row * Self.tileColumns + column)
                if adds { sums += Float.load(to, count: columns - column) }
                Float.store(sums, to: to, count: columns - column)
            }
        }
    }
}

// The order of the pieces: all columns, then the next tokens, then the next rows. Rows come last, because c, which is read
// and written for each block of tokens, is larger than the operands.
extension WeightGradientProduct {
    private func first(_ part: Part) -> Piece {
        Piece(rows: rows(of: 0, part), column: part.columns.lowerBound)
    }

    private func following<E: ActivationElement>(_ piece: Piece, _ part: Part, _: E.Type) -> Piece? {
        var next = piece
        next.column += Self.tileColumns
        if next.column < part.columns.upperBound { return next }
        next.column = part.columns.lowerBound
        next.token += WeightGradientPanels.tokens(E.self)
        if next.token < T { return next }
        next.token = 0
        next.block += 1
        next.rows = rows(of: next.block, part)
        return next.rows.isEmpty ? nil : next
    }

    /// A block of a part's rows; they are cut as equal as whole tiles can be.
    private func rows(of block: Int, _ part: Part) -> Range<Int> {
        let blocks = (part.rows.count + Self.blockRows - 1) / Self.blockRows
        guard block < blocks else { return part.rows.upperBound..<part.rows.upperBound }
        let share = ThreadPool.share(of: part.rows.count, grain: Self.tileRows, part: block, of: blocks)
        return part.rows.lowerBound + share.lowerBound..<part.rows.lowerBound + share.upperBound
    }

    private func tokens<E: ActivationElement>(from piece: Piece, _: E.Type) -> Int {
        min(WeightGradientPanels.tokens(E.self), T - piece.token)
    }

    /// What the tiles of a piece ask for: the next one's tokens, shared among them, and its first tile of c.
    private func ahead<E: ActivationElement>(
        of piece: Piece, _ next: Piece?, _ a: UnsafePointer<E>, _ b: UnsafePointer<E>, _ c: UnsafePointer<Float>
    ) -> WeightGradientTile.Ahead<E> {
        let target = next ?? piece
        let runs = WeightGradientPanels.words(tokens(from: piece, E.self), E.self) / WeightGradientPanels.wordGrain
        var ahead = WeightGradientTile.Ahead(
            result: c + target.rows.lowerBound * N + target.column, resultStep: N,
            resultRows: (Self.tileRows + runs - 1) / runs,
            right: b + target.token * N + target.column, rightStep: N,
            left: a + target.token * M + target.rows.lowerBound, leftStep: M, leftCount: 0, tokens: 0)
        guard next != nil else { return ahead }
        if target.token != piece.token || target.block != piece.block { ahead.leftCount = target.rows.count }
        let shares = (piece.rows.count + Self.tileRows - 1) / Self.tileRows * runs
        ahead.tokens = (tokens(from: target, E.self) + shares - 1) / shares
        return ahead
    }
}
