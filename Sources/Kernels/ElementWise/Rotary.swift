// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

import Glibc

// N: rows (tokens of a micro-batch), T: context, D: columns of a head, R: columns of it that turn.

/// Cosines and sines of the angles of rotary embeddings.
package final class RotaryTable: Sendable {
    /// Positions 0 ..< `positions` have angles.
    package let positions: Int
    /// Pairs of columns that turn together, R / 2.
    package let pairs: Int
    /// [`positions`, R / 2] each.
    let cosines, sines: Buffer<Float>

    /// Angles of `positions` positions, each the position times one of the R / 2 inverse `frequencies` in fp32, as
    /// PyTorch computes them.
    /// - Throws: `KernelError` when the memory cannot be reserved.
    package init(positions: Int, frequencies: [Float], memory: Memory = Memory()) throws(KernelError) {
        (self.positions, pairs) = (positions, frequencies.count)
        cosines = try memory.buffer(.activations, positions, pairs)
        sines = try memory.buffer(.activations, positions, pairs)
        guard memory.reserves else { return }
        for position in 0..<positions {
            for (j, frequency) in frequencies.enumerated() {
                let angle = Double(Float(position) * frequency)
                cosines.base[position * pairs + j] = Float(cos(angle))
                sines.base[position * pairs + j] = Float(sin(angle))
            }
        }
    }
}

/// Rotary position embeddings (Su et al. 2021).
package enum Rotary {
    /// Turns the queries and keys of `rows` [N, `columns.width`] by their position's angles, in place; values stay.
    ///
    /// Columns j and j + R / 2 of a head are a pair, as in Hugging Face's models; those from R on stay. Row n has
    /// position `firstPosition` + n mod T. `inverse` turns back, which is the backward pass.
    @_specialize(where E == Float)
    @_specialize(where E == BFloat16)
    package static func apply<E: ActivationElement>(
        _ pool: ThreadPool, rows: BufferSlice<E>, columns: HeadColumns, table: RotaryTable, firstPosition: Int,
        context T: Int, inverse: Bool
    ) {
        let (N, width, half) = (rows.count / columns.width, columns.width, table.pairs)
        precondition(
            2 * half <= columns.headSize && firstPosition >= 0 && firstPosition + min(T, N) <= table.positions,
            "positions \(firstPosition) ..< \(firstPosition + min(T, N)) and \(2 * half) columns of "
                + "\(columns.headSize), angles of \(table.positions) positions")
        let direction: Float = inverse ? -1 : 1
        let full = half / 16 * 16
        pool.split(N, grain: 8) { _, range in
            for n in range {
                let row = rows.pointer + n * width
                let cosines = UnsafePointer(table.cosines.base + (firstPosition + n % T) * half)
                let sines = UnsafePointer(table.sines.base + (firstPosition + n % T) * half)
                @inline(__always) func turn(_ head: UnsafeMutablePointer<E>) {
                    for j in stride(from: 0, to: full, by: 16) {
                        turnVector(head + j, head + half + j, cosines + j, sines + j, direction, 16)
                    }
                    if full < half {
                        turnVector(
                            head + full, head + half + full, cosines + full, sines + full, direction, half - full)
                    }
                }
                for head in 0..<columns.heads { turn(row + columns.query(head)) }
                for group in 0..<columns.keyValueHeads { turn(row + columns.key(group)) }
            }
        }
    }

    /// Turns up to sixteen pairs. Transparent, so that `left` is a constant in the loop over whole vectors.
    @_transparent
    private static func turnVector<E: ActivationElement>(
        _ first: UnsafeMutablePointer<E>, _ second: UnsafeMutablePointer<E>, _ cosines: UnsafePointer<Float>,
        _ sines: UnsafePointer<Float>, _ direction: Float, _ left: Int
    ) {
        let a = E.load(first, count: left)
        let b = E.load(second, count: left)
        let cosine = Float.load(cosines, count: left)
        let sine = Float.load(sines, count: left) * splat(direction)
        E.store((a * cosine).addingProduct(splat(0) - b, sine), to: first, count: left)
        E.store((b * cosine).addingProduct(a, sine), to: second, count: left)
    }
}
