import Basics
import Checkpointing
import Testing
import Transformer

/// What a `config.json` asks for and is not computed, and what is no value at all: refused by name, never ignored.
@Suite struct FamilyRefusalTests {
    private static func expectRefusal(_ family: String, _ changes: FamilyMembers, _ reason: String) throws {
        let members = try #require(FamilySample.named[family])
        let error = try thrown { try members.shape(changes) }
        #expect(error.exitCode == .badInput)
        #expect(error.description.hasPrefix("config.json: ") && !error.description.contains("\n"))
        #expect(error.description.contains(reason), "\(error)")
    }

    @Test(arguments: FamilySample.named.keys.sorted()) func everyFamily(family: String) throws {
        for (name, value, reason) in [
            ("vocab_size", "", "vocab_size is missing, expected a whole number"),
            ("hidden_size", "null", "hidden_size is null, expected a whole number"),
            ("intermediate_size", "\"24\"", "intermediate_size is \"24\", expected a whole number"),
            ("num_hidden_layers", "1.0", "num_hidden_layers is 1.0, expected a whole number"),
            ("num_attention_heads", "0", "number of heads is 0"),
            ("max_position_embeddings", "-1", "context length is -1"),
            ("hidden_act", "\"tanh\"", "hidden_act is \"tanh\", expected gelu,"),
            ("hidden_act", "null", "hidden_act is null, expected gelu,"),
            ("tie_word_embeddings", "null", "tie_word_embeddings is null, expected true or false"),
            ("add_cross_attention", "true", "add_cross_attention is true, expected false"),
            ("quantization_config", "{\"bits\": 4}", "quantization_config is {\"bits\": 4}, expected null"),
            ("per_layer_config", "{}", "per_layer_config is {}, expected null"),
            ("layer_types", "[\"full_attention\", \"sliding_attention\"]", "layer_types is [\"full_attention\","),
        ] { try Self.expectRefusal(family, [name: value], reason) }
    }

    @Test(arguments: ["llama", "mistral", "qwen2", "qwen3"]) func whatLlamaBegan(family: String) throws {
        for (name, value, reason) in [
            ("rms_norm_eps", "null", "rms_norm_eps is null, expected a number"),
            ("rms_norm_eps", "0", "the norms' epsilon is 0.0"),
            ("num_key_value_heads", "0", "number of key/value heads is 0"),
            ("num_key_value_heads", "3", "2 heads cannot share 3 key/value heads evenly"),
            ("num_key_value_heads", "1.5", "num_key_value_heads is 1.5, expected null or a whole number"),
            ("head_dim", "7", "rotary positions turn 7 columns of a head of 7"),
            ("head_dim", "0", "head size is 0"),
            ("head_dim", "9223372036854775807", "head size is 9223372036854775807"),
            ("head_dim", "\"x\"", "head_dim is \"x\""),
            ("rope_theta", "null", "rope_theta is null, expected a number"),
            ("rope_theta", "0", "rotary positions have base 0.0"),
            ("partial_rotary_factor", "0.5", "partial_rotary_factor is 0.5, expected 1"),
        ] { try Self.expectRefusal(family, [name: value], reason) }
    }

    /// The same inside `rope_scaling` of version 4 and `rope_parameters` of version 5.
    @Test(arguments: [("llama", "rope_scaling"), ("llama 5", "rope_parameters"), ("gpt_neox", "rope_scaling")])
    func rotaryPositions(family: String, member: String) throws {
        let kinds = "expected default, linear, llama3"
        let factors = #""low_freq_factor": 1, "high_freq_factor": 4"#
        for (value, reason) in [
            ("5", "\(member) is 5, expected null or an object"),
            (#"{"type": "dynamic", "factor": 2}"#, "\(member).type is \"dynamic\", \(kinds)"),
            (#"{"rope_type": "yarn", "factor": 2}"#, "\(member).rope_type is \"yarn\", \(kinds)"),
            (#"{"rope_type": "longrope"}"#, "\(member).rope_type is \"longrope\", \(kinds)"),
            (#"{"rope_type": null}"#, "\(member).rope_type is null, \(kinds)"),
            (#"{"rope_type": "default", "type": "linear"}"#, "\(member).type is \"linear\", expected \"default\", as"),
            (#"{"type": "linear"}"#, "\(member).factor is missing"),
            (#"{"type": "linear", "factor": 0}"#, "\(member).factor is 0, expected a number from 0.001 to"),
            (#"{"type": "linear", "factor": null}"#, "\(member).factor is null, expected a number from 0.001 to"),
            (#"{"type": "llama3", \#(factors)}"#, "\(member).factor is missing"),
            (#"{"type": "llama3", "factor": 8, "high_freq_factor": 4}"#, "\(member).low_freq_factor is missing"),
            (
                #"{"type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}"#,
                "\(member).high_freq_factor is 4, expected a number above low_freq_factor, 4.0"
            ),
            (
                #"{"type": "llama3", "factor": 8, \#(factors), "original_max_position_embeddings": 0}"#,
                "\(member).original_max_position_embeddings is 0, expected a whole number from 1 on"
            ),
            (
                #"{"full_attention": {"rope_type": "default"}}"#,
                "\(member).full_attention is {\"rope_type\": \"default\"}, expected one setting for all layers"
            ),
            (#"{"rope_theta": "x"}"#, "\(member).rope_theta is \"x\", expected a number"),
        ] { try Self.expectRefusal(family, [member: value], reason) }
        try Self.expectRefusal(
            family,
            [
                member: #"{"type": "llama3", "factor": 8, \#(factors), "original_max_position_embeddings": 16}"#,
                "original_max_position_embeddings": "8",
            ], "original_max_position_embeddings is 8, expected 16")
    }

    @Test(
        arguments: [
            ("llama", ["attention_bias": "null"], "attention_bias is null, expected true or false"),
            ("llama", ["mlp_bias": "0"], "mlp_bias is 0, expected true or false"),
            ("llama", ["sliding_window": "16"], "sliding_window is 16, expected null or a whole number from"),
            ("llama", ["head_dim": "", "num_attention_heads": "3"], "embedding size 16 is not a multiple of 3 heads"),
            (
                "llama", ["rope_scaling": #"{"rope_type": "default", "partial_rotary_factor": 0.5}"#],
                "rope_scaling.partial_rotary_factor is 0.5, expected 1"
            ),
            ("mistral", ["sliding_window": "47"], "sliding_window is 47, expected null or a whole number from"),
            (
                "mistral", ["sliding_window": "", "max_position_embeddings": "8192"],
                "sliding_window is missing, which means 4096"
            ),
            ("mistral", ["sliding_window": "\"x\""], "sliding_window is \"x\""),
            ("mistral", ["num_key_value_heads": ""], "2 heads cannot share 8 key/value heads evenly"),
            ("qwen2", ["use_sliding_window": "true"], "use_sliding_window is true, expected false"),
            ("qwen3", ["use_sliding_window": "null"], "use_sliding_window is null, expected false"),
            ("qwen3", ["attention_bias": "1"], "attention_bias is 1, expected true or false"),
            ("qwen3", ["head_dim": "null"], "head_dim is null, expected a whole number"),
            ("gpt_neox", ["layer_norm_eps": "\"x\""], "layer_norm_eps is \"x\", expected a number"),
            ("gpt_neox", ["use_parallel_residual": "null"], "use_parallel_residual is null, expected true or false"),
            ("gpt_neox", ["attention_bias": "null"], "attention_bias is null, expected true or false"),
            ("gpt_neox", ["rotary_pct": "1.5"], "rotary_pct is 1.5, expected a number from 0 to 1"),
            ("gpt_neox", ["rotary_pct": "0.5"], "partial_rotary_factor is 0.25, expected what rotary_pct says"),
            ("gpt_neox", ["rotary_emb_base": "7"], "rope_theta is 10000, expected 7.0, as rotary_emb_base"),
            (
                "gpt_neox", ["rotary_pct": "0", "partial_rotary_factor": "0"],
                "rotary positions turn 0 columns of a head of 8"
            ),
            ("gpt_neox", ["head_dim": "6"], "head_dim is 6, expected null or 8"),
            ("gpt_neox", ["sliding_window": "16"], "sliding_window is 16"),
            ("gpt_neox", ["num_attention_heads": "3"], "embedding size 16 is not a multiple of 3 heads"),
        ] as [(String, FamilyMembers, String)])
    func oneFamily(family: String, changes: FamilyMembers, reason: String) throws {
        try Self.expectRefusal(family, changes, reason)
    }

    /// Nothing of it is left to guess.
    @Test(arguments: [
        "num_key_value_heads", "head_dim", "tie_word_embeddings", "hidden_act", "norm_eps", "rope_theta",
    ])
    func modernSaysAll(name: String) throws {
        let json = try JSON(ModelDescription(shape: .small(.modern)).configurationJSON())
        var members: FamilyMembers = [:]
        for (name, value) in json.members ?? [] where ![.object, .array].contains(value.kind) {
            members[String(decoding: name, as: UTF8.self)] = value.source
        }
        _ = try members.shape()
        let error = try thrown { try members.shape([name: ""]) }
        #expect(error.description.contains("\(name) is missing"), "\(error)")
    }
}
