import Basics
import Transformer

/// A model as `config.json` of a Hugging Face model directory tells it.
package struct ModelDescription: Equatable, Sendable {
    package var shape: DecoderConfiguration
    package var beginTokenID: Int?
    package var endTokenID: Int?

    package init(shape: DecoderConfiguration, beginTokenID: Int? = nil, endTokenID: Int? = nil) {
        self.shape = shape
        self.beginTokenID = beginTokenID
        self.endTokenID = endTokenID
    }

    /// Every tensor of the model, named as `save_pretrained` names it, in forward order.
    package var tensors: [ExpectedTensor] {
        ParameterLayout(shape).parameters.map { ($0.name, $0.shape) }
    }

    /// The bytes of `config.json`: what `transformers` 4 and 5 and llama.cpp's converter want to find.
    package func configurationJSON() -> [UInt8] {
        func id(_ token: Int?) -> JSONText { token.map { .number($0) } ?? nil }
        let family = shape.architecture.family
        let common: [(String, JSONText)] = [
            ("architectures", .array([.string(family.className)])),
            ("bos_token_id", id(beginTokenID)),
            ("dtype", "float32"),
            ("eos_token_id", id(endTokenID)),
            ("model_type", .string(family.modelType)),
            ("tie_word_embeddings", .bool(shape.hasTiedHead)),
            ("torch_dtype", "float32"),
            ("transformers_version", "5.23.0"),
            ("use_cache", true),
            ("vocab_size", .number(shape.vocabularySize)),
        ]
        return JSONText.object((common + family.members(of: shape)).sorted { $0.0 < $1.0 }).pretty + [0x0A]
    }

    /// The bytes of `generation_config.json`.
    package func generationConfigurationJSON() -> [UInt8] {
        let ids = [("bos_token_id", beginTokenID), ("eos_token_id", endTokenID)]
        let members = ids.compactMap { name, id in id.map { (name, JSONText.number($0)) } }
        return JSONText.object(members + [("transformers_version", "5.23.0")]).pretty + [0x0A]
    }

    /// The bytes of `tokenizer_config.json` for a directory that has a `tokenizer.json`.
    ///
    /// - Parameter endOfText: the text of the special token, where the tokenizer has one.
    package func tokenizerConfigurationJSON(endOfText: String?) -> [UInt8] {
        var members: [(String, JSONText)] = [("add_prefix_space", false)]
        if let endOfText {
            for name in ["bos_token", "eos_token", "unk_token"] { members.append((name, .string(endOfText))) }
        }
        members.append(("model_max_length", .number(shape.contextLength)))
        members.append(("tokenizer_class", "GPT2TokenizerFast"))
        return JSONText.object(members).pretty + [0x0A]
    }
}

extension ModelDescription {
    /// Reads `config.json` of a Hugging Face directory; throws 65 naming `file`, the member, what it holds
    /// and what was expected. A model that would be computed in another way than ours is refused, not approximated.
    package init(configurationJSON bytes: [UInt8], file: String) throws {
        self = try naming(file) { try ModelDescription(JSON(bytes, sizeLimit: Self.sizeLimit)) }
    }

    /// The largest file that is read.
    static let sizeLimit = 16 << 20

    private init(_ json: JSON) throws {
        let types = Architecture.allCases.map { quoted($0.family.modelType) }
        let architecture = try json.member("model_type", types.joined(separator: ", ")) {
            $0.string.flatMap { Architecture(modelType: $0) }
        }
        shape = try architecture.family.read(ModelMembers(json: json))
        try shape.validate()
        // Absent or null, the family's own would be meant, which a small vocabulary does not have.
        beginTokenID = json["bos_token_id"]?.int
        // Llama 3's chat models have several; the first ends a text.
        endTokenID = json["eos_token_id"].flatMap { $0.int ?? $0.elements?.first?.int }
    }

    /// Checks that the family's `config.json` can say all of the shape: what is saved is then what was trained.
    /// - Throws: `ExitError` (64) naming what it cannot say.
    package func requireExpressible() throws(ExitError) {
        let read: DecoderConfiguration
        do {
            read = try ModelDescription(configurationJSON: configurationJSON(), file: "config.json").shape
        } catch {
            throw ExitError(.usage, "a model of family \(shape.architecture.rawValue) cannot be like this: \(error)")
        }
        var said = shape
        // How a new model is drawn is not part of what it computes.
        said.initialization = read.initialization
        guard read != said else { return }
        let words = Set(said.differences).symmetricDifference(read.differences).sorted()
        throw ExitError(
            .usage,
            "config.json of family \(shape.architecture.rawValue) cannot say "
                + "\(words.joined(separator: ", ")); leave the option out or take another --architecture")
    }
}
