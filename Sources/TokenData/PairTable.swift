/// A hash table from a pair of token ids to a number; never shrinks. Open addressing with linear probing.
struct PairTable: Sendable {
    private var keys: [UInt64]
    private var values: [Int64]
    private var shift: Int
    private(set) var count = 0

    private static let empty = UInt64.max

    /// An empty table with room for `capacity` pairs.
    init(capacity: Int) {
        var bits = 6
        while (1 << bits) < capacity * 2 { bits += 1 }
        keys = [UInt64](repeating: Self.empty, count: 1 << bits)
        values = [Int64](repeating: 0, count: 1 << bits)
        shift = 64 - bits
    }

    /// The key of a pair; ids are not negative.
    @inline(__always)
    static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    @inline(__always)
    private func slot(of key: UInt64) -> Int {
        let mixed = (key ^ key >> 31) &* 0x9E37_79B9_7F4A_7C15
        let spread = (mixed ^ mixed >> 29) &* 0xBF58_476D_1CE4_E5B9
        var slot = Int(truncatingIfNeeded: spread >> UInt64(shift))
        let mask = keys.count - 1
        while keys[slot] != key, keys[slot] != Self.empty { slot = (slot + 1) & mask }
        return slot
    }

    /// The number of `key`, or nil.
    @inline(__always)
    func value(_ key: UInt64) -> Int64? {
        let slot = slot(of: key)
        return keys[slot] == key ? values[slot] : nil
    }

    /// The number of `key`, after storing `value` if it was not there.
    @inline(__always)
    mutating func insert(_ value: Int64, forNew key: UInt64) -> (value: Int64, isNew: Bool) {
        let found = slot(of: key)
        if keys[found] == key { return (values[found], false) }
        if (count + 1) * 2 > keys.count {
            grow()
            return insert(value, forNew: key)
        }
        keys[found] = key
        values[found] = value
        count += 1
        return (value, true)
    }

    private mutating func grow() {
        var larger = PairTable(capacity: keys.count)
        for index in keys.indices where keys[index] != Self.empty {
            _ = larger.insert(values[index], forNew: keys[index])
        }
        self = larger
    }
}
