import Basics
import Glibc

/// Reads lines of `metrics.jsonl` as fast as memory gives them: one pass over the bytes of the form that `train`
/// writes, one object of numbers a line. A line of another form goes through the JSON parser, and gives the same numbers.
package struct LineScanner {
    /// The number of each `MetricField` of the newest line; NaN for null.
    private(set) var values = [Double](repeating: 0, count: MetricField.allCases.count)
    /// Which of them the line has, bit by bit.
    private(set) var present: UInt32 = 0

    /// `"step":"epoch":…`, one after the other, and where each begins.
    private let names: [UInt8]
    private let starts: [Int]
    private let powers: [Double] = (0...22).map { pow(10, Double($0)) }

    /// Holds no line yet.
    package init() {
        let texts = MetricField.allCases.map { Array("\"\($0.name)\":".utf8) }
        names = texts.flatMap { $0 }
        starts = texts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.count) }
    }

    /// The number of a field, where the line has it; NaN for null.
    package func value(_ field: MetricField) -> Double? {
        present & 1 << UInt32(field.rawValue) != 0 ? values[field.rawValue] : nil
    }

    /// Reads the line that begins at `start`.
    /// - Precondition: a byte that no line has, such as 0, follows the bytes that are to be looked at.
    /// - Returns: where the next line begins; nil where this is no whole line of the form that `train` writes.
    package mutating func scan(_ bytes: Span<UInt8>, from start: Int) -> Int? {
        present = 0
        var place = start
        guard bytes[place] == UInt8(ascii: "{") else { return nil }
        place += 1
        var field = 0
        while true {
            // Almost always the next one of the order, or one that follows after some that this line has not.
            var found = field
            while found < starts.count - 1, !accept(found, bytes, &place) { found += 1 }
            if found == starts.count - 1 {
                // A name that is not known here: its number is passed over.
                guard skipName(bytes, &place) else { return nil }
                guard skipText(bytes, &place) || number(bytes, &place) != nil else { return nil }
            } else {
                guard let value = number(bytes, &place) else { return nil }
                values[found] = value
                present |= 1 << UInt32(found)
                field = found + 1
            }
            let end = bytes[place]
            place += 1
            if end == UInt8(ascii: ",") { continue }
            return end == UInt8(ascii: "}") && bytes[place] == 0x0A && present & 1 == 1 ? place + 1 : nil
        }
    }

    /// Reads a line by the general parser.
    /// - Returns: false where it is no object with a step.
    package mutating func read(_ line: [UInt8]) -> Bool {
        present = 0
        guard let json = try? JSON(line) else { return false }
        for field in MetricField.allCases {
            guard let member = json[field.name], member.kind == .number || member.kind == .null else { continue }
            values[field.rawValue] = member.number ?? .nan
            present |= 1 << UInt32(field.rawValue)
        }
        return present & 1 == 1
    }

    /// Moves behind the name of a field where it stands here.
    private func accept(_ field: Int, _ bytes: Span<UInt8>, _ place: inout Int) -> Bool {
        var here = place
        for index in starts[field]..<starts[field + 1] {
            guard bytes[here] == names[index] else { return false }
            here += 1
        }
        place = here
        return true
    }

    /// Moves behind any name without escapes that is none of ours: those in another order are the general parser's.
    private func skipName(_ bytes: Span<UInt8>, _ place: inout Int) -> Bool {
        for field in 0..<starts.count - 1 {
            var here = place
            if accept(field, bytes, &here) { return false }
        }
        guard skipText(bytes, &place), bytes[place] == UInt8(ascii: ":") else { return false }
        place += 1
        return true
    }

    /// Moves behind a string without escapes, where one stands here.
    private func skipText(_ bytes: Span<UInt8>, _ place: inout Int) -> Bool {
        guard bytes[place] == UInt8(ascii: "\"") else { return false }
        var here = place + 1
        while bytes[here] != UInt8(ascii: "\"") {
            guard bytes[here] >= 0x20, bytes[here] != UInt8(ascii: "\\") else { return false }
            here += 1
        }
        place = here + 1
        return true
    }

    /// A number, NaN for null, nil for anything else. It may be off by a unit of the last place: charts have Float.
    private func number(_ bytes: Span<UInt8>, _ place: inout Int) -> Double? {
        if bytes[place] == UInt8(ascii: "n") {
            for byte in [UInt8(ascii: "n"), UInt8(ascii: "u"), UInt8(ascii: "l"), UInt8(ascii: "l")] {
                guard bytes[place] == byte else { return nil }
                place += 1
            }
            return .nan
        }
        let isNegative = bytes[place] == UInt8(ascii: "-")
        if isNegative { place += 1 }
        var (digits, exponent) = (UInt64(0), 0)
        let first = place
        while true {
            let digit = bytes[place] &- 0x30
            guard digit < 10 else { break }
            // Digits beyond the eighteenth change nothing that is shown.
            if digits < 100_000_000_000_000_000 { digits = digits &* 10 &+ UInt64(digit) } else { exponent += 1 }
            place += 1
        }
        guard place > first else { return nil }
        if bytes[place] == UInt8(ascii: ".") {
            place += 1
            let point = place
            while true {
                let digit = bytes[place] &- 0x30
                guard digit < 10 else { break }
                if digits < 100_000_000_000_000_000 {
                    digits = digits &* 10 &+ UInt64(digit)
                    exponent -= 1
                }
                place += 1
            }
            guard place > point else { return nil }
        }
        if bytes[place] | 0x20 == UInt8(ascii: "e") {
            place += 1
            let isDown = bytes[place] == UInt8(ascii: "-")
            if isDown || bytes[place] == UInt8(ascii: "+") { place += 1 }
            var size = 0
            let start = place
            while true {
                let digit = bytes[place] &- 0x30
                guard digit < 10 else { break }
                size = min(10_000, size * 10 + Int(digit))
                place += 1
            }
            guard place > start else { return nil }
            exponent += isDown ? -size : size
        }
        var value = Double(digits)
        if exponent < 0 {
            value = exponent >= -22 ? value / powers[-exponent] : value * pow(10, Double(exponent))
        } else if exponent > 0 {
            value = exponent <= 22 ? value * powers[exponent] : value * pow(10, Double(exponent))
        }
        return isNegative ? -value : value
    }
}
