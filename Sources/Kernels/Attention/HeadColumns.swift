/// Where the heads lie in a row of queries, keys and values, the output of one matrix product.
///
/// Query heads share keys and values in groups of `heads / keyValueHeads` (Ainslie et al. 2023).
package struct HeadColumns: Equatable, Sendable {
    /// Heads of queries, H.
    package let heads: Int
    /// Heads of keys and of values, G; divides H.
    package let keyValueHeads: Int
    /// Columns of a head, D.
    package let headSize: Int
    private let queryStep: Int
    private let keyStart, valueStart, keyValueStep: Int

    /// All queries, then all keys, then all values.
    package static func sideBySide(heads: Int, keyValueHeads: Int, headSize: Int) -> HeadColumns {
        HeadColumns(
            heads: heads, keyValueHeads: keyValueHeads, headSize: headSize, queryStep: headSize,
            keyStart: heads * headSize, valueStart: (heads + keyValueHeads) * headSize, keyValueStep: headSize)
    }

    /// Query, key and value of the first head, then those of the second, as GPT-NeoX has them.
    package static func interleaved(heads: Int, headSize: Int) -> HeadColumns {
        HeadColumns(
            heads: heads, keyValueHeads: heads, headSize: headSize, queryStep: 3 * headSize, keyStart: headSize,
            valueStart: 2 * headSize, keyValueStep: 3 * headSize)
    }

    /// Columns of a row: (H + 2G) · D.
    package var width: Int { (heads + 2 * keyValueHeads) * headSize }
    /// Columns of the heads' outputs side by side: H · D.
    package var outputWidth: Int { heads * headSize }
    /// Query heads that share one head of keys and values.
    package var groupSize: Int { heads / keyValueHeads }

    /// The first column of a head's query.
    @inline(__always)
    package func query(_ head: Int) -> Int { head * queryStep }
    /// The first column of a key head.
    @inline(__always)
    package func key(_ group: Int) -> Int { keyStart + group * keyValueStep }
    /// The first column of a value head.
    @inline(__always)
    package func value(_ group: Int) -> Int { valueStart + group * keyValueStep }
}
