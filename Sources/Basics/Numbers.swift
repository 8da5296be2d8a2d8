import Glibc

/// A number with this many decimals, for people; never in an exponent's form.
///
/// What is not finite reads `nan`, `inf` or `-inf`: a sign of NaN means nothing.
public func fixed(_ value: Double, _ decimals: Int) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    var text = [CChar](repeating: 0, count: 340 + decimals)
    let count = withVaList([Int32(decimals), value]) { vsnprintf(&text, text.count, "%.*f", $0) }
    return String(decoding: text.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
