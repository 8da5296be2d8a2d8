// The tiles of attention: which there are, the matrix products of each, and the memory that a thread computes in.

/// A block of scores: up to 64 queries by up to 256 keys that end at the diagonal or before it.
struct AttentionTile {
    var queryStart: Int
    var queries: Int
    var keyStart: Int
    var keys: Int
    /// Whether these queries have no further keys.
    var isLast: Bool
    /// q · kᵀ.
    var scores: TileMatmul
    /// p · v, and in the backward pass dS · k; adds to the earlier tiles of the same queries.
    var weightedSum: TileMatmul
    /// The products of the backward pass alone.
    var backward: Backward?

    struct Backward {
        /// dO · vᵀ.
        var probabilityGradient: TileMatmul
        /// dSᵀ · q, added.
        var keyGradient: TileMatmul
        /// pᵀ · dO, added.
        var valueGradient: TileMatmul
    }
}

struct TilePlanner {
    let compute: Compute
    let context: Int
    let heads: Int
    let headSize: Int
    let tileStride: Int
    let queryTile: Int
    let keyTile: Int
    let precision: Precision
    let training: Bool

    func tiles(thread: Int) throws(KernelError) -> [AttentionTile] {
        let row = 3 * heads * headSize
        let outputRow = heads * headSize
        func kernel(
            _ m: Int, _ n: Int, _ k: Int, a: Int, aTransposed: Bool = false, b: Int, bTransposed: Bool = false, c: Int,
            accumulates: Bool = false
        ) throws(KernelError) -> TileMatmul {
            let shape = TileShape(
                m: m, n: n, k: k, aStride: a, aTransposed: aTransposed, bStride: b, bTransposed: bTransposed,
                cStride: c, input: precision, output: .fp32, accumulates: accumulates)
            return try compute.tileKernels(shape)[thread]
        }
        var tiles: [AttentionTile] = []
        for queryStart in stride(from: 0, to: context, by: queryTile) {
            let queries = min(queryTile, context - queryStart)
            let end = queryStart + queries
            for keyStart in stride(from: 0, to: end, by: keyTile) {
                let keys = min(keyTile, end - keyStart)
                var tile = AttentionTile(
                    queryStart: queryStart, queries: queries, keyStart: keyStart, keys: keys,
                    isLast: keyStart + keys == end,
                    scores: try kernel(queries, keys, headSize, a: row, b: row, bTransposed: true, c: tileStride),
                    weightedSum: try kernel(
                        queries, headSize, keys, a: tileStride, b: row, c: headSize, accumulates: keyStart > 0),
                    backward: nil)
                if training {
                    tile.backward = AttentionTile.Backward(
                        probabilityGradient: try kernel(
                            queries, keys, headSize, a: outputRow, b: row, bTransposed: true, c: tileStride),
                        keyGradient: try kernel(
                            keys, headSize, queries, a: tileStride, aTransposed: true, b: row, c: headSize,
                            accumulates: true),
                        valueGradient: try kernel(
                            keys, headSize, queries, a: tileStride, aTransposed: true, b: outputRow, c: headSize,
                            accumulates: true))
                }
                tiles.append(tile)
            }
        }
        return tiles
    }
}

extension Attention {
    /// What one thread computes with.
    struct Worker {
        let tiles: [AttentionTile]
        let scores: Buffer<Float>
        let probabilityGradients: Buffer<Float>
        let probabilities: Buffer<E>
        let scoreGradients: Buffer<E>
        let rows: Buffer<Float>
        let keyGradient: Buffer<Float>
        let valueGradient: Buffer<Float>
        let statistics: Buffer<Float>

        init(tiles: [AttentionTile], tile: Int, rows: Int, whole: Int) {
            self.tiles = tiles
            let backward = whole > 0 ? tile : 0
            scores = Buffer(count: tile)
            probabilityGradients = Buffer(count: backward)
            probabilities = Buffer(count: tile)
            scoreGradients = Buffer(count: backward)
            self.rows = Buffer(count: rows)
            keyGradient = Buffer(count: whole)
            valueGradient = Buffer(count: whole)
            statistics = Buffer(count: 2 * 64)
        }
    }
}
