import Basics
import Checkpointing
import Kernels
import Transformer

extension TrainingConfiguration {
    /// The shape of a new model: what the architecture means by default, and what options say otherwise.
    /// - Throws: `ExitError` (64) naming an option that the architecture does not have, or sizes that do not go together.
    package func newShape(vocabularySize: Int) throws(ExitError) -> DecoderConfiguration {
        let standard = try DecoderConfiguration.newModel(
            architecture, vocabularySize: vocabularySize, contextLength: contextLength, embeddingSize: embeddingSize,
            layerCount: layers, headCount: heads, keyValueHeadCount: keyValueHeads, headSize: headSize,
            innerSize: innerSize)
        // GPT-2's files have no room for heads of another kind.
        let hasEqualHeads = architecture == .gpt2 || architecture == .gptNeoX
        let own = [
            ("kv-heads", hasEqualHeads && (keyValueHeads ?? heads) != heads, "as many key/value heads as heads"),
            (
                "head-size", hasEqualHeads && heads * (headSize ?? standard.headSize) != embeddingSize,
                "heads that fill the width"
            ),
            ("rope-theta", ropeTheta != nil && standard.positions == .learned, "learned positions"),
            ("soft-cap", softCap != nil && architecture != .modern, "logits as they are"),
        ]
        for (name, isMisplaced, reason) in own where isMisplaced {
            throw .usage(
                "--\(name) is not for --architecture \(architecture.rawValue), which has \(reason); leave it out or "
                    + "choose another architecture")
        }
        var shape = standard
        shape.activation = activation ?? shape.activation
        shape.normEpsilon = normEpsilon ?? shape.normEpsilon
        shape.hasTiedHead = hasTiedHead && shape.hasTiedHead
        shape.logitSoftCap = softCap
        if let ropeTheta, var rotary = shape.positions.rotary {
            rotary.theta = ropeTheta
            shape.positions = .rotary(rotary)
        }
        try shape.validate()
        try ModelDescription(shape: shape).requireExpressible()
        return shape
    }

    /// The shape that a run of a given model has: with a shorter context where options ask for one.
    func shape(of model: DecoderConfiguration) -> DecoderConfiguration {
        guard let row = Self.option("context-length"), isGiven(row), contextLength < model.contextLength else {
            return model
        }
        var shape = model
        shape.contextLength = contextLength
        return shape
    }

    /// Takes over the shape that a model directory or a tokenizer gave.
    mutating func adopt(_ shape: DecoderConfiguration) {
        architecture = shape.architecture
        layers = shape.layerCount
        heads = shape.headCount
        keyValueHeads = shape.keyValueHeadCount
        headSize = shape.headSize
        embeddingSize = shape.embeddingSize
        contextLength = shape.contextLength
        vocabularySize = shape.vocabularySize
        innerSize = shape.innerSize
        activation = shape.activation
        normEpsilon = shape.normEpsilon
        ropeTheta = shape.positions.rotary?.theta
        softCap = shape.logitSoftCap
        hasTiedHead = shape.hasTiedHead
    }

    /// Checks that no option that was given says another shape than the model in `directory` has.
    func requireNoContradiction(to shape: DecoderConfiguration, of directory: FilePath) throws(ExitError) {
        var adopted = self
        adopted.adopt(shape)
        for row in Self.options where isGiven(row) {
            guard let own = row.write(self), own != row.write(adopted) else { continue }
            let found = row.write(adopted) ?? "none"
            throw .usage(
                "--\(row.name) \(own) contradicts \(found) in \(directory.shown); leave the option out or use another model"
            )
        }
    }
}

extension DecoderConfiguration {
    /// The same model over fewer tokens; nil leaves it as it is.
    /// - Throws: `ExitError` (64) where it has not as many.
    func limited(to context: Int?) throws(ExitError) -> DecoderConfiguration {
        guard let context else { return self }
        guard context <= contextLength else {
            throw .usage(
                "--context-length is \(context), the model's context \(contextLength); give that or less, or leave it out"
            )
        }
        var shape = self
        shape.contextLength = context
        return shape
    }
}
