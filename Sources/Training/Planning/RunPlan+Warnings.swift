import Basics
import Optimization
import Transformer

extension RunPlan {
    /// Tokens that a model can use for each of its parameters (Hoffmann et al. 2022, "Training Compute-Optimal Large
    /// Language Models").
    private static let tokensOfAParameter = 20.0
    /// How often a text may be read before that teaches little (Muennighoff et al. 2023, "Scaling Data-Constrained
    /// Language Models").
    private static let usefulEpochs = 4.0
    /// How often a token should come in a text on average, to be worth a place in the vocabulary.
    private static let usesOfAToken = 50

    /// What people get wrong, as far as it can be seen from numbers. What the setup itself says comes before.
    /// - Parameter kept: checkpoints that are there already.
    func remarks(_ configuration: TrainingConfiguration, kept: Int) -> [String] {
        [
            tooFewTokens(configuration), tooManyEpochs, vocabularyTooLarge(configuration), warmupTooLong,
            rateTooHigh(configuration), muonRateTooHigh, evaluationTooDear(configuration),
            validationTooSmall(configuration), diskTooSmall(kept: kept),
        ].compactMap(\.self)
    }

    private func tooFewTokens(_ configuration: TrainingConfiguration) -> String? {
        // A given model has had its tokens.
        guard configuration.initFrom == nil, length.tokensPerParameter < Self.tokensOfAParameter else { return nil }
        let wanted = Self.tokensOfAParameter * Double(model.parameters) / Double(length.tokensPerStep)
        return
            "the run has \(fixed(length.tokensPerParameter, 2)) tokens a parameter, about 20 are what a model can use; "
            + "give a smaller model, or \(fixed(wanted.rounded(.up), 0)) --steps of as much text"
    }

    private var tooManyEpochs: String? {
        guard let epochs = length.epochs, epochs > Self.usefulEpochs else { return nil }
        let most = Self.usefulEpochs / epochs * Double(length.steps)
        return
            "the run reads its text \(fixed(epochs, 1)) times, and beyond 4 times it learns little more of it; give more "
            + "text, or \(max(1, Int(most))) --steps"
    }

    private func vocabularyTooLarge(_ configuration: TrainingConfiguration) -> String? {
        guard let tokens = length.dataTokens, configuration.initFrom == nil, checkpoints.goesOnFrom == nil,
            tokens / Self.usesOfAToken < model.vocabularySize
        else { return nil }
        return "the text has \(fixed(Double(tokens) / Double(model.vocabularySize), 1)) tokens for each of the "
            + "\(model.vocabularySize) of the vocabulary, \(Self.usesOfAToken) are a good number; give more text, or tokenize it "
            + "with a --vocab-size of \(max(257, tokens / Self.usesOfAToken)) or less"
    }

    private var warmupTooLong: String? {
        let (warmup, steps) = (rates.warmupSteps, length.steps)
        guard warmup > steps / 3 else { return nil }
        let what = warmup >= steps ? "is as long as the run of" : "is more than a third of"
        return "the warm-up of \(warmup) steps \(what) \(steps) steps; give --warmup-steps \(steps / 3) or fewer"
    }

    /// Far above means twice. AdamW at 4e-3 was the most that a width of 192 bore, with a long warm-up; the modern family
    /// beside Muon had 1e-2 (docs/recipes.md). What is borne falls as the width grows (Yang et al. 2022, "Tensor Programs
    /// V"). Weights that are trained already bear a fifth.
    private func rateTooHigh(_ configuration: TrainingConfiguration) -> String? {
        let isBesideMuon = configuration.optimizerKind == .muon
        let borne = (isBesideMuon ? 1e-2 : 4e-3) * 192 / Double(model.embeddingSize)
        let limit = 2 * borne / (configuration.initFrom == nil ? 1 : 5)
        guard rates.peak > limit else { return nil }
        let reason = configuration.initFrom == nil ? "" : " and weights that are trained already"
        return
            "--learning-rate \(rates.peak) is far above what AdamW at a width of \(model.embeddingSize)\(reason) bears; "
            + "give \(significant(limit / 2)) or less"
    }

    private var muonRateTooHigh: String? {
        guard let peak = rates.muonPeak, peak > 0.1 else { return nil }
        return "--muon-learning-rate \(peak) is far above 0.04, the best that was found; give that or less"
    }

    private func evaluationTooDear(_ configuration: TrainingConfiguration) -> String? {
        guard let evaluations, evaluations.share > 0.1 else { return nil }
        let interval = Double(configuration.evalInterval) * evaluations.share / (1 - evaluations.share) * 9
        return "evaluations take \(fixed(100 * evaluations.share, 0)) % of the time, 10 % are enough; give an "
            + "--eval-interval of \(fixed(interval.rounded(.up), 0)) or more, or fewer --eval-sequences than "
            + "\(evaluations.sequences)"
    }

    private func validationTooSmall(_ configuration: TrainingConfiguration) -> String? {
        guard let evaluations, let wanted = configuration.evalSequences, wanted > evaluations.available else {
            return nil
        }
        return
            "--val-data has \(evaluations.available) sequences, --eval-sequences asks for \(wanted); give more validation "
            + "text, or --eval-sequences \(evaluations.available)"
    }

    private func diskTooSmall(kept: Int) -> String? {
        let needed = max(0, checkpoints.atOnce - kept) * checkpoints.bytes
        guard let free = checkpoints.freeBytes, free < needed else { return nil }
        return
            "\(memoryText(free)) are free where the run is to be, its checkpoints need \(memoryText(needed)) more; make "
            + "room, give a smaller --keep, or choose another --run-dir"
    }

    /// Two digits that count.
    private func significant(_ value: Double) -> String {
        var (digits, scaled) = (2, value)
        while scaled < 1, scaled > 0, digits < 12 { (digits, scaled) = (digits + 1, scaled * 10) }
        return fixed(value, digits - 1)
    }
}
