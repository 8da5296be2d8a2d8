import Basics
import Kernels
import Transformer

/// A model in llama.cpp's terms: its architecture's name, its keys, and its tensors renamed and rearranged as llama.cpp's
/// converter of Hugging Face's models does it. Source: `convert_hf_to_gguf.py` and `src/llama-model.cpp` there.
package struct GGUFModel {
    private let files: any ModelFiles
    private var shape: DecoderConfiguration { files.description.shape }
    /// What llama.cpp calls the architecture.
    private let architecture: String
    /// Lines for the user: where llama.cpp will compute something slightly different.
    package let warnings: [String]

    /// - Throws: `ExitError` (65) naming what llama.cpp does not compute.
    package init(_ files: any ModelFiles) throws(ExitError) {
        self.files = files
        let shape = files.description.shape
        guard let name = Self.names[shape.architecture] else {
            throw ExitError(
                .badInput,
                "\(files.path.shown) has the architecture \(shape.architecture.rawValue), which no program but swiftlet "
                    + "computes; use it with swiftlet, or train a model of the architecture "
                    + "\(Self.names.keys.map(\.rawValue).sorted().joined(separator: ", "))")
        }
        architecture = name
        let unknown = Self.unknownParts(shape)
        guard unknown.isEmpty else {
            throw ExitError(
                .badInput,
                "\(files.path.shown) cannot become a GGUF file: llama.cpp's \(name) has no "
                    + "\(unknown.joined(separator: ", no ")); export it with --format huggingface")
        }
        warnings =
            shape.activation == .gelu
            ? [
                "llama.cpp computes GELU by tanh, this model the exact one: results there differ in the fourth digit or so"
            ]
            : []
    }

    private static let names: [Architecture: String] = [
        .gpt2: "gpt2", .llama: "llama", .mistral: "llama", .qwen2: "qwen2", .qwen3: "qwen3", .gptNeoX: "gptneox",
    ]

    /// What llama.cpp's graph of the architecture cannot express.
    private static func unknownParts(_ shape: DecoderConfiguration) -> [String] {
        let isGPT = shape.architecture == .gpt2 || shape.architecture == .gptNeoX
        let isLlama = names[shape.architecture] == "llama"
        let geluKinds: [Activation] = [.geluNew, .geluTanh, .geluFast, .gelu]
        let activations: [Activation] = isGPT ? geluKinds : [.silu]
        var isLlama3 = false
        if case .llama3 = shape.positions.rotary?.scaling { isLlama3 = true }
        let isPartial = shape.positions.rotary.map { $0.rotatedSize != shape.headSize } ?? false
        let needsBias = isGPT || shape.architecture == .qwen2
        return [
            activations.contains(shape.activation) ? nil : "activation \(shape.activation.rawValue)",
            shape.isGated == !isGPT ? nil : "MLP \(shape.isGated ? "with" : "without") a gate",
            shape.scalesAttention ? nil : "scores that are not scaled",
            shape.scalesAttentionByLayer ? "scores scaled by layer" : nil,
            isLlama3 && !isLlama ? "rotary scaling as in Llama 3" : nil,
            isPartial && !isGPT ? "rotary positions on a part of a head" : nil,
            shape.hasQueryKeyValueBias == needsBias || isLlama
                ? nil : "attention \(needsBias ? "without" : "with") biases",
            shape.hasProjectionBias == isGPT || isLlama
                ? nil : "output projection \(isGPT ? "without" : "with") a bias",
            shape.hasMLPBias == isGPT || isLlama ? nil : "MLP \(isGPT ? "without" : "with") biases",
            shape.normalizesEmbedding ? "norm after the embedding" : nil,
            shape.logitSoftCap == nil ? nil : "soft-cap of the logits",
        ].compactMap(\.self)
    }

    /// The file.
    /// - Parameters:
    ///   - name: what the model is called there.
    ///   - type: of matrices; vectors and embeddings of positions stay fp32, as llama.cpp wants them.
    ///   - vocabulary: the keys of the tokenizer.
    package func file(name: String, as type: ExportedType, vocabulary: [GGUFFile.Key]) -> GGUFFile {
        GGUFFile(keys: keys(name: name, type) + vocabulary, tensors: tensors(type))
    }

    private func keys(name: String, _ type: ExportedType) -> [GGUFFile.Key] {
        // llama.cpp's numbers for files of mostly one type.
        let fileType = [ExportedType.fp32: 0, .f16: 1, .bf16: 32][type] ?? 0
        let epsilon = shape.norm == .layerNorm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"
        var own: [GGUFFile.Key] = [
            ("context_length", .uint32(shape.contextLength)), ("embedding_length", .uint32(shape.embeddingSize)),
            ("block_count", .uint32(shape.layerCount)), ("feed_forward_length", .uint32(shape.innerSize)),
            ("attention.head_count", .uint32(shape.headCount)),
            ("attention.head_count_kv", .uint32(shape.keyValueHeadCount)),
            (epsilon, .float32(Float(shape.normEpsilon))), ("vocab_size", .uint32(shape.vocabularySize)),
        ]
        if let rotary = shape.positions.rotary {
            own += [
                ("rope.dimension_count", .uint32(rotary.rotatedSize)),
                ("rope.freq_base", .float32(Float(rotary.theta))),
            ]
            if case .linear(let factor) = rotary.scaling {
                own += [("rope.scaling.type", .text("linear")), ("rope.scaling.factor", .float32(Float(factor)))]
            }
        }
        if shape.architecture == .gptNeoX {
            own.append(("use_parallel_residual", .bool(shape.hasParallelResidual)))
        } else if shape.architecture != .gpt2 {
            own += ["attention.key_length", "attention.value_length"].map { ($0, .uint32(shape.headSize)) }
        }
        return [
            ("general.architecture", .text(architecture)), ("general.type", .text("model")),
            ("general.name", .text(name)), ("general.file_type", .uint32(fileType)),
        ] + own.map { ("\(architecture).\($0.name)", $0.value) }
    }
}

extension GGUFModel {
    private func tensors(_ type: ExportedType) -> [TensorSource] {
        var sources = files.description.tensors.map { source($0, type) }
        // llama.cpp's GPT-NeoX has a head of its own in any case.
        if shape.architecture == .gptNeoX, shape.hasTiedHead, let embedding = files.description.tensors.first {
            sources.append(files.source(embedding, name: "output.weight", as: type))
        }
        if let factors = rotaryFactors {
            sources.append(
                TensorSource(name: "rope_freqs.weight", shape: [factors.count]) { body in try body(factors.span.bytes) }
            )
        }
        return sources
    }

    /// The names of llama.cpp by those of the families, without number and suffix.
    private static let parts = [
        "wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm", "lm_head": "output", "ln_1": "attn_norm",
        "ln_2": "ffn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up",
        "mlp.c_proj": "ffn_down",
        "embed_tokens": "token_embd", "norm": "output_norm", "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
        "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "embed_in": "token_embd", "final_layer_norm": "output_norm", "embed_out": "output",
        "attention.query_key_value": "attn_qkv", "attention.dense": "attn_output", "mlp.dense_h_to_4h": "ffn_up",
        "mlp.dense_4h_to_h": "ffn_down",
    ]

    /// `transformer.h.0.attn.c_attn.weight` as its number 0 and its part `attn.c_attn`, with the suffix `weight`.
    private func split(_ name: String) -> (layer: Int?, part: String, suffix: String) {
        let base = shape.architecture.tensorNames.base
        var words = (name.hasPrefix(base) ? name.dropFirst(base.count) : name[...]).split(separator: ".")
        let suffix = String(words.removeLast())
        let layer = words.count > 1 ? Int(words[1]) : nil
        return (layer, words.dropFirst(layer == nil ? 0 : 2).joined(separator: "."), suffix)
    }

    private func source(_ tensor: ExpectedTensor, _ type: ExportedType) -> TensorSource {
        let (layer, part, suffix) = split(tensor.name)
        guard let known = Self.parts[part] else { preconditionFailure("\(tensor.name) has no name in llama.cpp") }
        let name = (layer.map { "blk.\($0)." } ?? "") + known + "." + suffix
        let isMatrix = tensor.shape.count == 2
        let kept = isMatrix && known != "position_embd" ? type : .fp32
        let dimensions = tensor.shape
        if shape.architecture == .gpt2, isMatrix, layer != nil {
            return files.source(tensor, name: name, shape: dimensions.reversed(), as: kept) {
                transposed($0, rows: dimensions[0], columns: dimensions[1])
            }
        }
        guard let order = rowOrder(known) else { return files.source(tensor, name: name, as: kept) }
        return files.source(tensor, name: name, as: kept) { reordered($0, rows: dimensions[0], order) }
    }

    /// Which row of ours is row i of llama.cpp's tensor; nil where all stand as they do here.
    private func rowOrder(_ known: String) -> ((Int) -> Int)? {
        let (size, heads) = (shape.headSize, shape.headCount)
        if architecture == "llama", known == "attn_q" || known == "attn_k" {
            // Its rotary positions turn neighbouring columns, those of Hugging Face columns half a head apart.
            return { row in row / size * size + row % 2 * (size / 2) + row % size / 2 }
        }
        if shape.interleavesHeads, known == "attn_qkv" {
            // All queries, all keys, all values, out of query, key and value of each head.
            return { row in
                let (part, head) = (row / (heads * size), row / size % heads)
                return (3 * head + part) * size + row % size
            }
        }
        return nil
    }

    /// For each pair of columns, what Llama 3's scaling divides its angle by; nil without it.
    private var rotaryFactors: [Float]? {
        guard let rotary = shape.positions.rotary,
            case .llama3(let factor, let low, let high, let original) = rotary.scaling
        else { return nil }
        let unscaled = RotaryPositions(theta: rotary.theta, rotatedSize: rotary.rotatedSize).frequencies
        let (longest, shortest) = (Float(Double(original) / low), Float(Double(original) / high))
        return unscaled.map { frequency in
            let wavelength = 2 * Float.pi / frequency
            if wavelength < shortest { return 1 }
            if wavelength > longest { return Float(factor) }
            let smooth = (Float(original) / wavelength - Float(low)) / Float(high - low)
            return 1 / ((1 - smooth) / Float(factor) + smooth)
        }
    }
}
