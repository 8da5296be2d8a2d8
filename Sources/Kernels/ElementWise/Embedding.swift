// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

// N: rows (tokens), T: context, C: embedding size, V: vocabulary.

/// Token and position embeddings.
package enum Embedding {
    /// `output` [N, C] = tokenTable[token] + positionTable[position]; positions run 0 ..< T in each sequence. Without
    /// a `positionTable`, the token's row alone.
    package static func forward(
        _ pool: ThreadPool, tokens: BufferSlice<Int32>, tokenTable: BufferSlice<Float>,
        positionTable: BufferSlice<Float>?, output: BufferSlice<Float>, context T: Int, columns C: Int
    ) {
        let V = tokenTable.count / C
        precondition(
            output.count >= tokens.count * C && positionTable?.count ?? .max >= min(T, tokens.count) * C,
            "too little memory for [\(tokens.count), \(C)]")
        pool.split(tokens.count) { _, rows in
            for n in rows {
                let id = Int(tokens.pointer[n])
                precondition((0..<V).contains(id), "token \(id) of \(V)")
                let token = tokenTable.pointer + id * C
                let y = output.pointer + n * C
                guard let positionTable else {
                    y.update(from: token, count: C)
                    continue
                }
                let position = positionTable.pointer + n % T * C
                for c in stride(from: 0, to: C, by: 16) {
                    let left = C - c
                    Float.store(
                        Float.load(token + c, count: left) + Float.load(position + c, count: left), to: y + c,
                        count: left)
                }
            }
        }
    }

    /// Adds each row of `gradient` [N, C] to its token's row of `tokenGradient` [V, C], in row order, and writes the
    /// sums over sequences to `positionGradient` [T, C], nil where there are no positions. With `overwrites`,
    /// `tokenGradient` starts at zero.
    ///
    /// Threads share the columns, so every sum has one order at any number of threads. Rows of `positionGradient` past
    /// the context become zero.
    package static func backward(
        _ pool: ThreadPool, tokens: BufferSlice<Int32>, gradient: BufferSlice<Float>,
        tokenGradient: BufferSlice<Float>, positionGradient: BufferSlice<Float>?, overwrites: Bool, context T: Int,
        columns C: Int
    ) {
        let N = tokens.count
        let V = tokenGradient.count / C
        precondition(
            gradient.count >= N * C && positionGradient?.count ?? .max >= min(T, N) * C,
            "too little memory for [\(N), \(C)]")
        if let positionGradient { positionGradient.buffer.zero(positionGradient.range) }
        if overwrites { tokenGradient.buffer.zero(tokenGradient.range) }
        pool.split(C, grain: 16) { _, columns in
            for n in 0..<N {
                let id = Int(tokens.pointer[n])
                precondition((0..<V).contains(id), "token \(id) of \(V)")
                let token = tokenGradient.pointer + id * C
                let position = positionGradient.map { $0.pointer + n % T * C }
                let g = gradient.pointer + n * C
                for c in stride(from: columns.lowerBound, to: columns.upperBound, by: 16) {
                    let left = columns.upperBound - c
                    let value = Float.load(g + c, count: left)
                    Float.store(Float.load(token + c, count: left) + value, to: token + c, count: left)
                    if let position {
                        Float.store(Float.load(position + c, count: left) + value, to: position + c, count: left)
                    }
                }
            }
        }
    }
}
