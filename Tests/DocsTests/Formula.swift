import Foundation

/// A formula as the pages write it, worked out in Double: `½ · (1 + cos(π · (k − W) / max(1, S − W)))`.
struct Formula {
    /// What cannot be read.
    struct Failure: Error, CustomStringConvertible { let description: String }

    private var rest: Substring
    private let variables: [String: Double]

    /// - Parameter variables: the values of the letters.
    static func value(_ text: String, _ variables: [String: Double]) throws -> Double {
        var formula = Formula(rest: Substring(text.filter { !$0.isWhitespace }), variables: variables)
        let value = try formula.sum()
        guard formula.rest.isEmpty else { throw Failure(description: "'\(text)': cannot read '\(formula.rest)'") }
        return value
    }

    private mutating func take(_ prefix: String) -> Bool {
        guard rest.hasPrefix(prefix) else { return false }
        rest.removeFirst(prefix.count)
        return true
    }

    private mutating func sum() throws -> Double {
        var value = try product()
        while true {
            if take("+") {
                value += try product()
            } else if take("−") {
                value -= try product()
            } else {
                return value
            }
        }
    }

    private mutating func product() throws -> Double {
        var value = try factor()
        while true {
            if take("·") {
                value *= try factor()
            } else if take("/") {
                value /= try factor()
            } else {
                return value
            }
        }
    }

    private mutating func factor() throws -> Double {
        if take("√") { return try factor().squareRoot() }
        if take("cos(") {
            let value = cos(try sum())
            return try closed(value)
        }
        if take("max(") {
            let first = try sum()
            guard take(",") else { throw Failure(description: "max needs two values before '\(rest)'") }
            let second = try sum()
            return try closed(max(first, second))
        }
        if take("(") {
            let value = try sum()
            return try closed(value)
        }
        if take("½") { return 0.5 }
        if take("π") { return .pi }
        let digits = rest.prefix { $0.isNumber || $0 == "." }
        if let number = Double(digits) {
            rest.removeFirst(digits.count)
            return number
        }
        let name = rest.prefix { $0.isLetter }
        guard let value = variables[String(name)] else { throw Failure(description: "no value before '\(rest)'") }
        rest.removeFirst(name.count)
        return value
    }

    private mutating func closed(_ value: Double) throws -> Double {
        guard take(")") else { throw Failure(description: "a bracket is not closed before '\(rest)'") }
        return value
    }
}
