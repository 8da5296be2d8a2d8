/// Numbers byte strings from 0 in the order of their first appearance; the strings live in one buffer.
struct WordTable: Sendable {
    private var slots: [Int32]
    private var hashes: [UInt64] = []
    private(set) var bytes: [UInt8] = []
    private var ends: [Int] = []

    /// An empty table.
    init() { slots = [Int32](repeating: -1, count: 1 << 10) }

    /// How many strings there are.
    var count: Int { ends.count }

    /// Where string `index` stands in `bytes`.
    @inline(__always)
    func range(_ index: Int) -> Range<Int> { (index == 0 ? 0 : ends[index - 1])..<ends[index] }

    /// The bytes of string `index`.
    subscript(_ index: Int) -> ArraySlice<UInt8> { bytes[range(index)] }

    @inline(__always)
    private static func hash(_ text: Span<UInt8>, _ range: Range<Int>) -> UInt64 {
        var hash: UInt64 = 0x51_7C_C1_B7_27_22_0A_95 ^ UInt64(truncatingIfNeeded: range.count)
        var index = range.lowerBound
        while index < range.upperBound {
            var word: UInt64 = 0
            var shift: UInt64 = 0
            while index < range.upperBound, shift < 64 {
                word |= UInt64(text[unchecked: index]) << shift
                shift += 8
                index += 1
            }
            hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 32
        }
        return hash &* 0xD6E8_FEB8_6659_FD93
    }

    @inline(__always)
    private func slot(of text: Span<UInt8>, _ range: Range<Int>, _ hash: UInt64) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash >> 20) & mask
        while slots[slot] >= 0, !holds(Int(slots[slot]), text, range, hash) { slot = (slot + 1) & mask }
        return slot
    }

    /// Whether string `index` is `text[range]`.
    @inline(__always)
    private func holds(_ index: Int, _ text: Span<UInt8>, _ range: Range<Int>, _ hash: UInt64) -> Bool {
        let stored = self.range(index)
        guard hashes[index] == hash, stored.count == range.count else { return false }
        let storage = bytes.span
        for offset in 0..<range.count
        where storage[unchecked: stored.lowerBound + offset] != text[unchecked: range.lowerBound + offset] {
            return false
        }
        return true
    }

    /// The number of the string `text[range]`, or nil.
    @inline(__always)
    func find(_ text: Span<UInt8>, _ range: Range<Int>) -> Int? {
        precondition(range.lowerBound >= 0 && range.upperBound <= text.count)
        let index = slots[slot(of: text, range, Self.hash(text, range))]
        return index >= 0 ? Int(index) : nil
    }

    /// The number of the string, or nil.
    func find(_ text: [UInt8]) -> Int? { find(text.span, text.indices) }

    /// The number of the string `text[range]`, which is added if it is new.
    @inline(__always)
    mutating func intern(_ text: Span<UInt8>, _ range: Range<Int>) -> (index: Int, isNew: Bool) {
        precondition(range.lowerBound >= 0 && range.upperBound <= text.count)
        let hash = Self.hash(text, range)
        let slot = slot(of: text, range, hash)
        if slots[slot] >= 0 { return (Int(slots[slot]), false) }
        let index = count
        for offset in range { bytes.append(text[unchecked: offset]) }
        ends.append(bytes.count)
        hashes.append(hash)
        slots[slot] = Int32(index)
        if count * 2 > slots.count { grow() }
        return (index, true)
    }

    /// The number of the string, which is added if it is new.
    mutating func intern(_ text: [UInt8]) -> (index: Int, isNew: Bool) { intern(text.span, text.indices) }

    private mutating func grow() {
        let mask = slots.count * 4 - 1
        slots = [Int32](repeating: -1, count: mask + 1)
        for (index, hash) in hashes.enumerated() {
            var slot = Int(truncatingIfNeeded: hash >> 20) & mask
            while slots[slot] >= 0 { slot = (slot + 1) & mask }
            slots[slot] = Int32(index)
        }
    }
}
