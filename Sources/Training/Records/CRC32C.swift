/// The checksum of event files: CRC-32C (Castagnoli), bits reflected, all ones before and after.
package enum CRC32C {
    /// What each byte does to an empty remainder.
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { remainder, _ in
            remainder & 1 == 1 ? remainder >> 1 ^ 0x82F6_3B78 : remainder >> 1
        }
    }

    /// The checksum of a part of some bytes.
    package static func value(of bytes: [UInt8], _ range: Range<Int>) -> UInt32 {
        let table = table
        var remainder = UInt32.max
        for index in range {
            remainder = table[Int(UInt8(truncatingIfNeeded: remainder) ^ bytes[index])] ^ remainder >> 8
        }
        return ~remainder
    }

    /// The form that stands in a file: a checksum of bytes that hold checksums would say little (TensorFlow, `masked_crc32c`).
    package static func masked(_ bytes: [UInt8], _ range: Range<Int>) -> UInt32 {
        let value = value(of: bytes, range)
        return (value >> 15 | value << 17) &+ 0xA282_EAD8
    }
}
