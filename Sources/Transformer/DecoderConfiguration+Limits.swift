import Basics
import Kernels

extension DecoderConfiguration {
    // What is accepted; products of these fit into 64 bits.
    package static let vocabularySizes = 2...1 << 24
    package static let contextLengths = 1...1 << 20
    package static let embeddingSizes = 1...1 << 17
    package static let layerCounts = 1...1 << 12
    package static let headCounts = 1...1 << 12
    package static let headSizes = 1...1 << 12
    package static let innerSizes = 1...1 << 19
    package static let normEpsilons = 1e-12...1
    package static let softCaps = 1e-3...1e6
    /// The largest number of parameters: 2³¹ of them are 34 GB of training state.
    static let parameterLimit = 1 << 31

    /// Checks sizes and how they go together.
    /// - Throws: `ExitError` (64) naming the value and what was expected.
    package func validate() throws(ExitError) {
        let named = [
            ("vocabulary size", vocabularySize, Self.vocabularySizes),
            ("context length", contextLength, Self.contextLengths),
            ("embedding size", embeddingSize, Self.embeddingSizes),
            ("number of layers", layerCount, Self.layerCounts), ("number of heads", headCount, Self.headCounts),
            ("number of key/value heads", keyValueHeadCount, Self.headCounts), ("head size", headSize, Self.headSizes),
            ("inner size", innerSize, Self.innerSizes),
        ]
        for (name, value, range) in named where !range.contains(value) {
            throw ExitError(
                .usage,
                "\(name) is \(value), expected a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        guard Self.normEpsilons.contains(normEpsilon) else {
            throw ExitError(
                .usage,
                "the norms' epsilon is \(normEpsilon), expected a number from \(Self.normEpsilons.lowerBound) to "
                    + "\(Self.normEpsilons.upperBound)")
        }
        guard headCount % keyValueHeadCount == 0 else {
            throw ExitError(
                .usage,
                "\(headCount) heads cannot share \(keyValueHeadCount) key/value heads evenly; the nearest number of them "
                    + "that divides \(headCount) is \(Self.nearestDivisor(of: headCount, to: keyValueHeadCount))")
        }
        if let cap = logitSoftCap, !Self.softCaps.contains(cap) {
            throw ExitError(
                .usage,
                "the logits' soft-cap is \(cap), expected a number from \(Self.softCaps.lowerBound) to "
                    + "\(Self.softCaps.upperBound)")
        }
        try positions.rotary?.validate(headSize: headSize)
        guard parameterCount <= Self.parameterLimit else {
            throw ExitError(
                .usage,
                "the model would have \(parameterCount) parameters, more than the \(Self.parameterLimit) supported; "
                    + "make it narrower or shallower")
        }
    }

    /// Checks that heads of the default size fill the width.
    /// - Throws: `ExitError` (64) with the nearest number of heads that would.
    package func requireHeadsDivideWidth() throws(ExitError) {
        guard Self.embeddingSizes.contains(embeddingSize), Self.headCounts.contains(headCount),
            embeddingSize % headCount != 0
        else { return }
        throw ExitError(
            .usage,
            "embedding size \(embeddingSize) is not a multiple of \(headCount) heads; "
                + "the nearest number of heads that divides it is "
                + "\(Self.nearestDivisor(of: embeddingSize, to: headCount))")
    }

    private static func nearestDivisor(of number: Int, to wanted: Int) -> Int {
        (1...number).filter { number % $0 == 0 }.min { abs($0 - wanted) < abs($1 - wanted) } ?? 1
    }
}
