import Glibc

/// A number with this many decimals, for people; never in an exponent's form.
///
/// What is not finite reads `nan`, `inf` or `-inf`: a sign of NaN means nothing.
package func fixed(_ value: Double, _ decimals: Int) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    var text = [CChar](repeating: 0, count: 340 + decimals)
    let count = withVaList([Int32(decimals), value]) { vsnprintf(&text, text.count, "%.*f", $0) }
    return String(decoding: text.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// All hexadecimal digits of a number, with zeros in front: two for each of its bytes.
package func hexadecimal(_ value: some FixedWidthInteger & UnsignedInteger) -> String {
    padded(String(value, radix: 16), to: value.bitWidth / 4)
}

/// Digits with zeros in front, so that there are at least `count`.
package func padded(_ digits: String, to count: Int) -> String {
    String(repeating: "0", count: max(0, count - digits.utf8.count)) + digits
}

/// Whether a text is this many hexadecimal digits, small ones.
package func isHexadecimal(_ text: some StringProtocol, _ count: Int) -> Bool {
    text.utf8.count == count && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
}

/// The lowest `count` bytes of a number, the lowest first.
package func littleEndian(_ value: Int, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

/// Text from elsewhere, safe for a terminal and for a line of a message: what would move the cursor, turn the line's
/// direction or is no text becomes `\x0a` or `\u{202e}`, and `…` stands for what is beyond `limit` characters.
package func printable(_ text: String, limit: Int = 200) -> String {
    let shown = text.unicodeScalars.prefix(limit).map { scalar in
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0: "\\x\(hexadecimal(UInt8(scalar.value)))"
        case 0x10FF80...0x10FFFF: "\\x\(hexadecimal(UInt8(scalar.value - 0x10FF00)))"
        case 0x2028...0x202E, 0x2066...0x2069: "\\u{\(String(scalar.value, radix: 16))}"
        default: String(scalar)
        }
    }
    return shown.joined() + (text.unicodeScalars.count > limit ? "…" : "")
}

/// Where the first bytes stand that are no UTF-8; nil where all are.
package func firstBrokenUTF8(_ bytes: [UInt8]) -> Int? {
    do throws(UTF8.ValidationError) {
        _ = try UTF8Span(validating: bytes.span)
        return nil
    } catch {
        return error.byteOffsets.lowerBound
    }
}

/// A name from a file for a message: printable and in quotes.
package func quoted(_ text: String) -> String { "\"\(printable(text, limit: 80))\"" }
