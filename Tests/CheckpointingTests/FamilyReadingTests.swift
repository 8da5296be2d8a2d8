import Basics
import Checkpointing
import Testing
import Transformer

/// `config.json` of each family, as `transformers` 4 and 5 write it.
@Suite struct FamilyReadingTests {
    private static let scaled = #""factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0"#
    private static let llama3 = RotaryPositions.Scaling.llama3(
        factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 16)

    /// The shape with other rotary positions.
    private static func rotary(
        _ theta: Double, _ scaling: RotaryPositions.Scaling = .none
    ) -> (inout DecoderConfiguration) -> Void {
        { $0.positions = .rotary(RotaryPositions(theta: theta, rotatedSize: $0.headSize, scaling: scaling)) }
    }

    @Test(arguments: [0, 1]) func llama(version: Int) throws {
        let members = FamilySample.llama[version]
        func expected(_ change: (inout DecoderConfiguration) -> Void = { _ in }) -> DecoderConfiguration {
            .expected(.llama, keyValueHeads: 1, headSize: 6, change)
        }
        #expect(try members.shape() == expected())
        #expect(
            try members.shape(["attention_bias": "true"])
                == expected { ($0.hasQueryKeyValueBias, $0.hasProjectionBias) = (true, true) })
        #expect(try members.shape(["mlp_bias": "true"]) == expected { $0.hasMLPBias = true })
        #expect(try members.shape(["tie_word_embeddings": "true"]) == expected { $0.hasTiedHead = true })
        #expect(try members.shape(["hidden_act": "\"relu2\""]) == expected { $0.activation = .reluSquared })
        #expect(try members.shape(["rms_norm_eps": "0.001"]) == expected { $0.normEpsilon = 1e-3 })
        for nothing in ["", "null"] {
            #expect(
                try members.shape(["num_key_value_heads": nothing, "head_dim": nothing])
                    == .expected(.llama, keyValueHeads: 2, headSize: 8))
        }
        let left = ["attention_bias", "mlp_bias", "hidden_act", "rms_norm_eps", "tie_word_embeddings", "rope_scaling"]
        #expect(try members.shape(Dictionary(uniqueKeysWithValues: left.map { ($0, "") })) == expected())
    }

    /// What says how queries and keys are turned: in each of the three forms.
    @Test func rotaryPositions() throws {
        let old = FamilySample.llama[0]
        func expected(_ theta: Double, _ scaling: RotaryPositions.Scaling = .none) -> DecoderConfiguration {
            .expected(.llama, keyValueHeads: 1, headSize: 6, Self.rotary(theta, scaling))
        }
        #expect(try old.shape(["rope_theta": "500000"]) == expected(500_000))
        #expect(try old.shape(["rope_theta": ""]) == expected(10_000))
        for name in ["type", "rope_type"] {
            let linear = #"{"\#(name)": "linear", "factor": 2.5}"#
            #expect(
                try old.shape(["rope_theta": "500", "rope_scaling": linear]) == expected(500, .linear(factor: 2.5)))
            let original = #""original_max_position_embeddings": 16"#
            let scaling = #"{"\#(name)": "llama3", \#(Self.scaled), \#(original)}"#
            #expect(try old.shape(["rope_theta": "500", "rope_scaling": scaling]) == expected(500, Self.llama3))
            #expect(
                try old.shape([
                    "rope_theta": "500", "rope_scaling": scaling, "original_max_position_embeddings": "16",
                ]) == expected(500, Self.llama3))
        }
        // Version 5 takes rope_scaling first, and what it does not say from where version 4 has it.
        let both = ["rope_scaling": #"{"type": "linear", "rope_type": "linear", "factor": 2}"#, "rope_theta": "7"]
        #expect(
            try old.shape(both.merging(["rope_parameters": #"{"rope_theta": 9.0}"#]) { $1 })
                == expected(7, .linear(factor: 2)))
        let new = FamilySample.llama[1]
        #expect(try new.shape(["rope_parameters": #"{"rope_theta": 9.0}"#, "rope_theta": "7"]) == expected(9))
        #expect(try new.shape(["rope_parameters": "{}", "rope_theta": "7"]) == expected(7))
        #expect(
            try new.shape(["rope_parameters": #"{"rope_theta": 9, "rope_type": "llama3", \#(Self.scaled)}"#])
                == expected(9, .llama3(factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 48)))
        #expect(try old.shape(["partial_rotary_factor": "1.0"]) == expected(10_000))
    }

    @Test(arguments: [0, 1]) func mistral(version: Int) throws {
        let members = FamilySample.mistral[version]
        let expected = DecoderConfiguration.expected(.mistral, keyValueHeads: 1, headSize: 8) { $0.normEpsilon = 1e-5 }
        for window in ["null", "48", "4096", ""] {
            #expect(try members.shape(["sliding_window": window]) == expected)
        }
        #expect(
            try members.shape(["num_key_value_heads": "", "num_attention_heads": "16", "head_dim": "2"])
                .keyValueHeadCount == 8)
        #expect(try members.shape(["head_dim": "null", "num_key_value_heads": "null"]).keyValueHeadCount == 2)
    }

    @Test(arguments: [0, 1]) func qwen2(version: Int) throws {
        let members = FamilySample.qwen2[version]
        let expected = DecoderConfiguration.expected(.qwen2, keyValueHeads: 1, headSize: 8) {
            $0.hasQueryKeyValueBias = true
        }
        #expect(try members.shape() == expected)
        #expect(try members.shape(["use_sliding_window": "", "layer_types": "null", "rms_norm_eps": ""]) == expected)
        #expect(try members.shape(["head_dim": "6"]).headSize == 6)
        #expect(
            try members.shape(["num_key_value_heads": "", "num_attention_heads": "64", "head_dim": "2"])
                .keyValueHeadCount == 32)
    }

    @Test(arguments: [0, 1]) func qwen3(version: Int) throws {
        let members = FamilySample.qwen3[version]
        let expected = DecoderConfiguration.expected(.qwen3, keyValueHeads: 1, headSize: 6) {
            $0.normalizesHeads = true
        }
        #expect(try members.shape() == expected)
        #expect(try members.shape(["head_dim": ""]).headSize == 128)
        let biased = try members.shape(["attention_bias": "true"])
        #expect(biased.hasQueryKeyValueBias && biased.hasProjectionBias && !biased.hasMLPBias)
    }

    @Test(arguments: [0, 1]) func gptNeoX(version: Int) throws {
        let members = FamilySample.gptNeoX[version]
        #expect(try members.shape() == .expectedNeoX())
        #expect(
            try members.shape(["use_parallel_residual": "false"]) == .expectedNeoX { $0.hasParallelResidual = false })
        #expect(
            try members.shape(["attention_bias": "false"])
                == .expectedNeoX { ($0.hasQueryKeyValueBias, $0.hasProjectionBias) = (false, false) })
        #expect(try members.shape(["hidden_act": "\"gelu_fast\""]) == .expectedNeoX { $0.activation = .geluFast })
        #expect(try members.shape(["layer_norm_eps": "0.001"]) == .expectedNeoX { $0.normEpsilon = 1e-3 })
        let left = [
            "use_parallel_residual", "attention_bias", "hidden_act", "layer_norm_eps", "rotary_pct", "rotary_emb_base",
            "rope_theta", "partial_rotary_factor", "tie_word_embeddings",
        ]
        #expect(try members.shape(Dictionary(uniqueKeysWithValues: left.map { ($0, "") })) == .expectedNeoX())
        let old = FamilySample.gptNeoX[0]
        let other = DecoderConfiguration.expectedNeoX {
            $0.positions = .rotary(RotaryPositions(theta: 500, rotatedSize: 8, scaling: .linear(factor: 2)))
        }
        #expect(
            try old.shape([
                "rotary_pct": "1.0", "partial_rotary_factor": "", "rotary_emb_base": "500", "rope_theta": "",
                "rope_scaling": #"{"type": "linear", "factor": 2}"#,
            ]) == other)
        let settings = #"{"partial_rotary_factor": 1, "rope_theta": 500, "rope_type": "linear", "factor": 2}"#
        #expect(try FamilySample.gptNeoX[1].shape(["rope_parameters": settings]) == other)
        // 0.7 of 8 columns is cut to 5, which transformers makes six of with other angles.
        #expect(throws: (any Error).self) { try old.shape(["rotary_pct": "0.7", "partial_rotary_factor": ""]) }
    }

    @Test func severalEnds() throws {
        let text = FamilySample.llama[0].text(["eos_token_id": "[5, 6]"])
        let description = try ModelDescription(configurationJSON: text, file: "x")
        #expect(description.endTokenID == 5 && description.beginTokenID == 1)
    }
}
