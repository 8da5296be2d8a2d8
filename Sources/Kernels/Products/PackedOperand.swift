// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are the dimensions of the legend below, as in the literature.

import CInstructions

// K, N: the right operand b[K, N] of a product; words as in Packing.swift.

/// Memory for the right operand of matrix products, in the format that oneDNN multiplies fastest.
///
/// A plain operand would be brought into that format inside every product, and again for each block of rows. Here it is
/// done once, by all threads, and several products can share it. The format, oneDNN's `BA16a64b` and `BA16a64b2a`:
/// panels of 64 columns, in each panel the words of these columns row by row. Zeros fill up 64 columns and 16 rows of
/// words.
package final class PackedOperand: @unchecked Sendable {
    static let panelWidth = 64
    private(set) var words: Buffer<UInt32>
    private let memory: Memory

    /// An operand without memory; products that are planned with it reserve what they need.
    package convenience init(_ workspace: Workspace) throws(KernelError) { try self.init(workspace.memory) }

    init(_ memory: Memory) throws(KernelError) {
        self.memory = memory
        words = try memory.buffer(.operands, 0)
    }

    /// Rows of words, with the zeros.
    static func wordRows(inner K: Int, _ precision: Precision) -> Int {
        let rows = precision == .bf16 ? (K + 1) / 2 : K
        return (rows + 15) / 16 * 16
    }

    static func panels(_ N: Int) -> Int { (N + panelWidth - 1) / panelWidth }

    /// Bytes of an operand of this shape, with the zeros.
    static func byteCount(inner K: Int, columns N: Int, _ precision: Precision) -> Int {
        panels(N) * wordRows(inner: K, precision) * panelWidth * MemoryLayout<UInt32>.stride
    }

    /// Room for an operand of this shape. Only before the products that share the operand run.
    func reserve(inner K: Int, columns N: Int, _ precision: Precision) throws(KernelError) {
        let bytes = Self.byteCount(inner: K, columns: N, precision)
        try memory.grow(&words, to: bytes / MemoryLayout<UInt32>.stride, .operands)
    }

    /// Packs b[K, N], rows `rowStride` apart; with `transposed` it is stored as [N, K], without gaps. Fp32 numbers are
    /// rounded on the way where the operand is bf16.
    @_specialize(where Source == Float, E == Float)
    @_specialize(where Source == BFloat16, E == BFloat16)
    @_specialize(where Source == Float, E == BFloat16)
    func pack<Source: ActivationElement, E: ActivationElement>(
        _ b: UnsafePointer<Source>, as _: E.Type, inner K: Int, columns N: Int, rowStride: Int, transposed: Bool,
        _ pool: ThreadPool
    ) {
        let rows = Self.wordRows(inner: K, E.precision)
        let panelWords = rows * Self.panelWidth
        let target = words.base
        if transposed {
            pool.split(Self.panels(N)) { _, panels in
                for panel in panels {
                    let first = panel * Self.panelWidth
                    let (count, source) = (min(Self.panelWidth, N - first), b + first * K)
                    let to = target + panel * panelWords
                    if Source.precision == E.precision {
                        Packing.transposedWords(
                            source, rows: count, stride: K, columns: K, padded: Self.panelWidth, words: rows,
                            to: to, targetStride: Self.panelWidth)
                    } else {
                        Packing.transposedRoundedWords(
                            UnsafeRawPointer(source).assumingMemoryBound(to: Float.self), rows: count, columns: K,
                            padded: Self.panelWidth, words: rows, to: to, targetStride: Self.panelWidth)
                    }
                }
            }
        } else {
            pool.split(rows, grain: 16) { _, range in
                for row in range {
                    Self.packRow(b, E.self, K, N, rowStride, row, to: target + row * Self.panelWidth, panelWords)
                }
            }
        }
    }

    /// One row of words of all panels.
    @inline(__always)
    private static func packRow<Source: ActivationElement, E: ActivationElement>(
        _ b: UnsafePointer<Source>, _: E.Type, _ K: Int, _ N: Int, _ rowStride: Int, _ row: Int,
        to target: UnsafeMutablePointer<UInt32>, _ panelWords: Int
    ) {
        let isPair = E.precision == .bf16
        let rounds = Source.precision != E.precision
        let k = isPair ? 2 * row : row
        let first = UnsafeRawPointer(b + k * rowStride)
        let width = MemoryLayout<Source>.stride
        let step = rowStride * width
        var next = 0
        if (isPair ? k + 1 : k) < K {
            for panel in 0..<N / panelWidth {
                let from = first + panel * panelWidth * width
                let to = target + panel * panelWords
                // The rows eight further on: a panel is too narrow for the CPU to foresee them.
                for row in 8..<(isPair ? 10 : 9) {
                    for line in stride(from: 0, to: panelWidth * width, by: 64) {
                        instructions_prefetch(from + row * step + line)
                    }
                }
                for part in stride(from: 0, to: panelWidth, by: 16) {
                    storeWords(
                        rounds
                            ? roundedRows(from, width * part, step)
                            : isPair
                                ? pairedRows(from, width * part, step)
                                : from.loadUnaligned(fromByteOffset: width * part, as: Words.self), to: to + part)
                }
            }
            next = N / panelWidth * panelWidth
        }
        // The last panel where it is not whole, the last row where it has no second half, and the zeros.
        for n in next..<panels(N) * panelWidth {
            let low = n < N && k < K ? bits(b[k * rowStride + n], E.self) : 0
            let high = n < N && isPair && k + 1 < K ? bits(b[(k + 1) * rowStride + n], E.self) : 0
            target[n / panelWidth * panelWords + n % panelWidth] = low | high << 16
        }
    }

    /// The number's bits as an element, in the low part of a word.
    @inline(__always)
    private static func bits<Source: ActivationElement, E: ActivationElement>(_ value: Source, _: E.Type) -> UInt32 {
        if Source.precision != E.precision { return E(rounding: value.float).float.bitPattern >> 16 }
        return E.precision == .bf16 ? value.float.bitPattern >> 16 : value.float.bitPattern
    }
}
