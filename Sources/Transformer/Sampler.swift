import Glibc

/// Draws the next token from logits.
package struct Sampler: Sendable {
    /// Divides the logits: below 1 the likely becomes likelier; 0 always takes the likeliest.
    package let temperature: Double
    /// Only this many of the likeliest tokens can be drawn; nil for all.
    package let topK: Int?
    private var random: SplitMix64

    /// Equal seeds draw equal tokens from equal logits.
    package init(temperature: Double, topK: Int?, seed: UInt64) {
        self.temperature = temperature
        self.topK = topK
        random = SplitMix64(seed: seed)
    }

    /// The next token's id. Of equal logits the smaller id counts as the likelier.
    package mutating func next(_ logits: [Float]) -> Int32 {
        precondition(!logits.isEmpty, "no logits to draw from")
        let order = logits.indices.sorted { (logits[$1], $0) < (logits[$0], $1) }
        guard temperature > 0 else { return Int32(order[0]) }
        let candidates = order.prefix(max(1, topK ?? logits.count))
        let largest = Double(logits[order[0]])
        let weights = candidates.map { exp((Double(logits[$0]) - largest) / temperature) }
        var left = random.nextUnit() * weights.reduce(0, +)
        for (index, weight) in zip(candidates, weights) {
            left -= weight
            if left < 0 { return Int32(index) }
        }
        return Int32(candidates.last ?? order[0])
    }
}
