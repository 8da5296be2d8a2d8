import Basics
import Transformer

// Rotary positions in `config.json`: `transformers` 4 has the base of the angles among the other members and what changes
// it in `rope_scaling`; 5 has all in `rope_parameters`, and takes `rope_scaling` first where a file has both.

/// The kinds that are computed, under Hugging Face's names.
private enum RotaryKind: String, CaseIterable {
    case plain = "default"
    case linear, llama3
}

extension ModelMembers {
    /// The rotary positions of a model.
    ///
    /// - Parameters:
    ///   - shape: with its context and the size of its heads.
    ///   - theta: the base of the angles, where `rope_parameters` does not say it.
    ///   - fraction: how much of a head is turned, where `rope_parameters` does not say it; nil: a family whose heads
    ///     are turned whole.
    func rotary(
        _ shape: DecoderConfiguration, theta: Double, fraction: Double? = nil
    ) throws -> RotaryPositions {
        var rotary = RotaryPositions(theta: theta, rotatedSize: 0)
        var part = fraction ?? 1
        let given = ["rope_scaling", "rope_parameters"].first { name in
            json[name].map { $0.kind != .null && $0.members?.isEmpty != true } ?? false
        }
        if let given {
            (rotary, part) = try json.member(given, "null or an object") { value in
                guard value.kind == .object else { return nil }
                let settings = ModelMembers(json: value)
                try settings.requireOneForAllLayers()
                if fraction == nil { try settings.requireWholeHeads() }
                return (
                    RotaryPositions(
                        theta: try settings.number("rope_theta", theta), rotatedSize: 0,
                        scaling: try settings.scaling(contextLength: shape.contextLength)),
                    try settings.fraction("partial_rotary_factor", part)
                )
            }
        }
        if fraction == nil { try requireWholeHeads() }
        if case .llama3(_, _, _, let original) = rotary.scaling {
            // Versions differ in which of the two they take.
            try require("original_max_position_embeddings", "\(original), as for rotary positions") {
                $0.int == original
            }
        }
        rotary.rotatedSize = RotaryPositions.columns(part, of: shape.headSize)
        return rotary
    }

    /// How much of a head is turned.
    func fraction(_ name: String, _ standard: Double) throws -> Double {
        try setting(name, standard, "a number from 0 to 1") { $0.number.flatMap { (0...1).contains($0) ? $0 : nil } }
    }

    private func requireOneForAllLayers() throws {
        for (name, value) in json.members ?? [] where value.kind == .object {
            throw JSONError(
                "\(String(decoding: name, as: UTF8.self)) is \(value.source), expected one setting for all layers")
        }
    }

    /// Versions of `transformers` differ in what it does in such a family.
    private func requireWholeHeads() throws {
        try require("partial_rotary_factor", "1: heads are turned whole") { $0.number == 1 }
    }

    private func scaling(contextLength: Int) throws -> RotaryPositions.Scaling {
        let kinds = RotaryKind.allCases.map(\.rawValue).joined(separator: ", ")
        func kind(_ name: String, _ standard: RotaryKind) throws -> RotaryKind {
            try setting(name, standard, kinds) { $0.string.flatMap(RotaryKind.init) }
        }
        let kind = try kind("rope_type", kind("type", .plain))
        // An older name of the same member.
        try require("type", "\(quoted(kind.rawValue)), as rope_type") { $0.isString(kind.rawValue) }
        func factor(_ name: String) throws -> Double {
            let range = RotaryPositions.factors
            return try json.member(name, "a number from \(range.lowerBound) to \(range.upperBound)") {
                $0.number.flatMap { range.contains($0) ? $0 : nil }
            }
        }
        switch kind {
        case .plain: return .none
        case .linear: return .linear(factor: try factor("factor"))
        case .llama3:
            let low = try factor("low_freq_factor")
            return .llama3(
                factor: try factor("factor"), lowFrequency: low,
                highFrequency: try json.member("high_freq_factor", "a number above low_freq_factor, \(low)") {
                    $0.number.flatMap { $0 > low && RotaryPositions.factors.contains($0) ? $0 : nil }
                },
                originalContext: try setting(
                    "original_max_position_embeddings", contextLength, "a whole number from 1 on"
                ) { $0.int.flatMap { DecoderConfiguration.contextLengths.contains($0) ? $0 : nil } })
        }
    }
}

extension RotaryPositions {
    /// What factors are read.
    fileprivate static let factors = 1e-3...1e6

    /// A part of a head's columns, cut to a whole number as `transformers` cuts it.
    static func columns(_ fraction: Double, of headSize: Int) -> Int {
        Int(Double(min(headSize, DecoderConfiguration.headSizes.upperBound)) * fraction)
    }

    /// The part of a head that `columns` makes `rotatedSize` of.
    func fraction(of headSize: Int) -> Double {
        let fraction = Double(rotatedSize) / Double(headSize)
        return Self.columns(fraction, of: headSize) == rotatedSize ? fraction : fraction.nextUp
    }

    /// `rope_parameters`, and `rope_scaling` for `transformers` 4.
    ///
    /// - Parameter fraction: how much of a head is turned, for a family whose file says it.
    func members(fraction: Double? = nil) -> [(String, JSONText)] {
        let (kind, settings): (RotaryKind, [(String, JSONText)]) =
            switch scaling {
            case .none: (.plain, [])
            case .linear(let factor): (.linear, [("factor", .number(factor))])
            case .llama3(let factor, let low, let high, let original):
                (
                    .llama3,
                    [
                        ("factor", .number(factor)), ("high_freq_factor", .number(high)),
                        ("low_freq_factor", .number(low)), ("original_max_position_embeddings", .number(original)),
                    ]
                )
            }
        let type = [("rope_type", JSONText.string(kind.rawValue))]
        let part = fraction.map { [("partial_rotary_factor", JSONText.number($0))] } ?? []
        return [
            ("rope_parameters", .object(settings + part + [("rope_theta", .number(theta))] + type)),
            ("rope_scaling", scaling == .none ? nil : .object(settings + type)),
        ]
    }
}
