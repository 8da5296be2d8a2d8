import Basics
import Kernels
import Transformer

/// GPT-NeoX (Black et al. 2022) and Pythia (Biderman et al. 2023).
struct GPTNeoXFamily: ModelFamily {
    let modelType = "gpt_neox"
    let className = "GPTNeoXForCausalLM"
    /// The causal mask too.
    let bufferSuffixes = [".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq"]
    /// `transformers` 5 calls it so in memory.
    let otherHeadNames = ["lm_head.weight"]

    func read(_ members: ModelMembers) throws -> DecoderConfiguration {
        var shape = try members.shape(.gptNeoX)
        try members.requireNoWindow(shape.contextLength)
        try members.require("head_dim", "null or \(shape.headSize), the width over the heads") {
            $0.kind == .null || $0.int == shape.headSize
        }
        shape.activation = try members.activation("hidden_act", .gelu)
        shape.normEpsilon = try members.number("layer_norm_eps", 1e-5)
        shape.hasParallelResidual = try members.flag("use_parallel_residual", true)
        shape.hasQueryKeyValueBias = try members.flag("attention_bias", true)
        shape.hasProjectionBias = shape.hasQueryKeyValueBias
        let rotary = try members.rotary(
            shape, theta: members.number("rotary_emb_base", 10_000), fraction: members.fraction("rotary_pct", 0.25))
        // What `transformers` 4 writes beside the family's own names; versions differ in which they take.
        try members.require("rope_theta", "\(rotary.theta), as rotary_emb_base") { $0.number == rotary.theta }
        try members.require("partial_rotary_factor", "what rotary_pct says") {
            guard let fraction = $0.number, (0...1).contains(fraction) else { return false }
            return RotaryPositions.columns(fraction, of: shape.headSize) == rotary.rotatedSize
        }
        shape.positions = .rotary(rotary)
        return shape
    }

    func members(of shape: DecoderConfiguration) -> [(String, JSONText)] {
        let rotary = shape.positions.rotary.map { rotary in
            let fraction = rotary.fraction(of: shape.headSize)
            return [("rotary_emb_base", JSONText.number(rotary.theta)), ("rotary_pct", .number(fraction))]
                + rotary.members(fraction: fraction)
        }
        return shape.commonMembers + (rotary ?? []) + [
            ("attention_bias", .bool(shape.hasQueryKeyValueBias)), ("attention_dropout", .number(0.0)),
            ("hidden_dropout", .number(0.0)), ("initializer_range", .number(0.02)),
            ("layer_norm_eps", .number(shape.normEpsilon)),
            ("use_parallel_residual", .bool(shape.hasParallelResidual)),
        ]
    }

    /// As Pythia, which turns a quarter of each head: here an even number of its columns.
    func setDefaults(of shape: inout DecoderConfiguration) {
        shape.activation = .gelu
        shape.positions = .rotary(RotaryPositions(theta: 10_000, rotatedSize: max(2, shape.headSize / 8 * 2)))
        (shape.interleavesHeads, shape.hasParallelResidual, shape.hasTiedHead) = (true, true, false)
        shape.initialization = .plain
    }
}
