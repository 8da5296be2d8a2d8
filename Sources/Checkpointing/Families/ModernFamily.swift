import Basics
import Kernels
import Transformer

/// This program's own family, after what trains fast in small: norms without weights, one behind the embedding and one on
/// each head's query and key, rotary positions, squared ReLU, no biases, a tied head, and projections that start at zero.
///
/// No other program reads its files. They say everything: nothing has a default.
struct ModernFamily: ModelFamily {
    let modelType = "swiftlet_modern"
    let className = "SwiftletModernForCausalLM"
    let bufferSuffixes: [String] = []

    func read(_ members: ModelMembers) throws -> DecoderConfiguration {
        let json = members.json
        var shape = try members.shape(
            .modern, keyValueHeadCount: json.int("num_key_value_heads"), headSize: json.int("head_dim"))
        shape.hasTiedHead = try json.member("tie_word_embeddings", "true or false", \.bool)
        shape.activation = try members.activation("hidden_act")
        shape.normEpsilon = try json.number("norm_eps")
        shape.positions = .rotary(try members.rotary(shape, theta: json.number("rope_theta")))
        shape.logitSoftCap = try json.optional("final_logit_softcapping", "null or a number", \.number)
        return shape
    }

    func members(of shape: DecoderConfiguration) -> [(String, JSONText)] {
        let rotary = shape.positions.rotary.map { [("rope_theta", JSONText.number($0.theta))] + $0.members() } ?? []
        return shape.commonMembers + shape.headMembers + rotary + [
            ("final_logit_softcapping", shape.logitSoftCap.map { .number($0) } ?? nil),
            ("norm_eps", .number(shape.normEpsilon)),
        ]
    }

    func setDefaults(of shape: inout DecoderConfiguration) {
        // The epsilon of PyTorch's rms_norm in fp32.
        (shape.norm, shape.normEpsilon) = (.plainRMS, Double(Float.ulpOfOne))
        (shape.normalizesEmbedding, shape.normalizesHeads) = (true, true)
        shape.positions = .rotary(RotaryPositions(theta: 10_000, rotatedSize: shape.headSize))
        shape.activation = .reluSquared
        (shape.hasQueryKeyValueBias, shape.hasProjectionBias, shape.hasMLPBias) = (false, false, false)
        shape.initialization = .zeroProjections
    }
}
