import Basics

/// A 64-bit hash of bytes that recognises changed data. Not cryptographic: it guards against mistakes, not attacks.
///
/// The value depends on the bytes and on nothing else (neither on the machine nor on how they were fed).
struct ContentHash {
    private var lanes = SIMD4<UInt64>(
        0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7344, 0xA409_3822_299F_31D0, 0x082E_FA98_EC4E_6C89)
    private var tail: [UInt8] = []
    private var length = 0

    private mutating func absorb(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        let raw = bytes.bytes
        var lanes = self.lanes
        for offset in stride(from: range.lowerBound, to: range.upperBound, by: 32) {
            let words = raw.unsafeLoadUnaligned(fromByteOffset: offset, as: SIMD4<UInt64>.self)
            let mixed = (lanes ^ words) &* 0x9E37_79B9_7F4A_7C15
            lanes = mixed ^ (mixed &>> 29)
        }
        self.lanes = lanes
    }

    /// Adds bytes. (Not inlined: Swift 6.3's optimiser crashes on the span of a call's result.)
    @inline(never)
    mutating func update(_ bytes: [UInt8]) {
        length += bytes.count
        var start = 0
        if !tail.isEmpty {
            while tail.count < 32, start < bytes.count {
                tail.append(bytes[start])
                start += 1
            }
            guard tail.count == 32 else { return }
            let block = tail
            absorb(block.span, 0..<32)
            tail.removeAll(keepingCapacity: true)
        }
        let end = start + (bytes.count - start) / 32 * 32
        absorb(bytes.span, start..<end)
        tail += bytes[end...]
    }

    /// Adds a number.
    mutating func update(number: Int) { update(littleEndian(number, 8)) }

    /// The hash of everything added so far.
    var value: UInt64 {
        var end = self
        let block = tail + [UInt8](repeating: 0, count: 32 - tail.count)
        end.absorb(block.span, 0..<32)
        var result = UInt64(length)
        for lane in end.lanes.indices { result = mix(result ^ end.lanes[lane]) }
        return result
    }

    /// `value` as 16 hexadecimal digits.
    var hexadecimal: String { Basics.hexadecimal(value) }
}

/// Spreads every bit of a number over all 64 (the finaliser of SplitMix64).
@inline(__always)
func mix(_ value: UInt64) -> UInt64 {
    var mixed = value &+ 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
}
