import Basics
import Checkpointing
import Collectives
import DataParallel
import TokenData
import Transformer

/// The mean loss over sequences that are spread evenly over a stream, shared by all ranks.
///
/// With N of M sequences, number i is the stream's sequence ⌊i · M / N⌋. Each sequence's loss is one number, and the
/// numbers are added in the sequences' order: the result has the same bits at any number of ranks and any micro-batch.
package struct Evaluator {
    /// How many sequences can be asked for; there are never more than the stream has.
    package static let counts = 1...Int.max

    /// What an evaluation found.
    package struct Result: Sendable, Equatable {
        /// Mean loss a token, in nats.
        package var loss: Double
        /// Tokens that were predicted.
        package var tokens: Int
        /// e^loss.
        package var perplexity: Double { exponential(loss) }
    }

    let stream: TokenStream
    private let identity: String
    let contextLength: Int
    /// M: sequences of the stream.
    package let available: Int
    /// N: sequences that are evaluated.
    package let count: Int

    /// Takes `sequences` of the stream's sequences, or all where that is nil or more than there are.
    /// - Parameter identity: `stream.identity()`, where losses are to be compared with those of other runs.
    /// - Throws: `ExitError` (65) when there is not one sequence.
    package init(stream: TokenStream, identity: String = "", contextLength: Int, sequences: Int?) throws {
        self.stream = stream
        self.identity = identity
        self.contextLength = contextLength
        available = try stream.requireSequences(contextLength: contextLength)
        count = min(available, sequences ?? available)
    }

    /// What the losses are of: those of one set can be compared.
    package var set: TrainerState.ValidationSet { .init(identity: identity, sequences: count) }

    /// What the losses are of, for people.
    package var coverage: String {
        let part = count == available ? "all \(count) sequences" : "\(count) of \(available) sequences, spread evenly"
        return "\(part), \(count * contextLength) tokens"
    }

    /// The stream's sequence for number `index`, from 0.
    package func sequence(_ index: Int) -> Int {
        count.dividingFullWidth(index.multipliedFullWidth(by: available)).quotient
    }

    /// Evaluates on all ranks; every rank gets the result.
    /// - Parameter goesOn: asked by all ranks together before each of their micro-batches; false on all of them ends the
    ///   evaluation, and the result is nil.
    package func evaluate(
        _ model: any LanguageModel, on communicator: any Communicator, while goesOn: () throws -> Bool = { true }
    ) throws -> Result? {
        Activity.enter(.evaluation)
        let size = model.microBatch
        let batches = (count - 1) / size + 1
        let ranks = communicator.worldSize
        let own = batches * communicator.rank / ranks..<batches * (communicator.rank + 1) / ranks
        let losses = try OrderedSum(count: count)
        func evaluate(_ batch: Int) throws {
            let first = batch * size
            let rows = min(size, count - first)
            for row in 0..<rows { try stream.copySequence(sequence(first + row), to: row, of: model, contextLength) }
            // Rows past the end repeat old tokens; their losses are not counted.
            _ = try model.loss(sequences: rows)
            for row in 0..<rows { losses[first + row] = model.sequenceLoss(row) }
        }
        let isWhole = try WorkProgress.during("evaluating", of: count * contextLength, .tokens) {
            for round in 0..<(batches - 1) / ranks + 1 {
                guard try goesOn() else { return false }
                if round < own.count { try evaluate(own.lowerBound + round) }
                // All ranks are about as far.
                let done = min(size * ranks, count - round * size * ranks)
                WorkProgress.advance(max(0, done) * contextLength, .tokens)
            }
            return true
        }
        guard isWhole else { return nil }
        try losses.share(on: communicator)
        let tokens = count * contextLength
        return Result(loss: losses.sum / Double(tokens), tokens: tokens)
    }
}

/// The newest and the best validation loss of a run, both of the same set of sequences. Every rank has the same one, so
/// what it decides all decide alike.
package struct ValidationRecord {
    package private(set) var newest: Double?
    package private(set) var best: Double?
    /// The step that the best one is of: the first of equal ones. Nil where an older checkpoint does not say it.
    package private(set) var bestStep: Int?
    /// Evaluations since the best one, or so far where none gave a number; nil before the first.
    package private(set) var evaluationsSinceBest: Int?
    /// What all are of.
    package private(set) var set: TrainerState.ValidationSet?

    /// Goes on from a saved state. Losses of another set than the run's own are forgotten, and a line says so; without
    /// validation data they stay as they are.
    package init(_ state: TrainerState?, set: TrainerState.ValidationSet?, _ reporter: any Reporter) {
        guard let state, state.bestValidationLoss != nil || state.evaluationsSinceBest != nil else { return }
        guard set == nil || set == state.validationSet else {
            let loss = state.bestValidationLoss.map { " \($0)" } ?? ""
            reporter.line(
                "validation: other sequences than the checkpoint's, so its best loss\(loss) is not compared; the best "
                    + "starts anew")
            return
        }
        (newest, best, self.set) = (state.lastValidationLoss, state.bestValidationLoss, state.validationSet)
        (bestStep, evaluationsSinceBest) = (state.bestValidationStep, state.evaluationsSinceBest)
    }

    /// Takes in the loss after `step`; returns whether it is the lowest so far, which one that is not finite never is.
    /// All are of one set: that of the run's evaluator.
    package mutating func add(_ loss: Double, of set: TrainerState.ValidationSet, at step: Int) -> Bool {
        self.set = set
        if loss.isFinite { newest = loss }
        guard loss.isFinite, loss < best ?? .infinity else {
            evaluationsSinceBest = (evaluationsSinceBest ?? 0) + 1
            return false
        }
        (best, bestStep, evaluationsSinceBest) = (loss, step, 0)
        return true
    }

    /// Whether `evaluations` or more have passed without a new lowest loss; never where that is nil.
    package func lacksImprovement(over evaluations: Int?) -> Bool {
        evaluations.map { evaluationsSinceBest ?? 0 >= $0 } ?? false
    }

    /// The line that a run ends with for want of a lower loss.
    package var reasonToEnd: String {
        let count = evaluationsSinceBest ?? 0
        let evaluations = "\(count) \(count == 1 ? "evaluation" : "evaluations")"
        guard let best else { return "stopped: no finite validation loss in \(evaluations)" }
        let place = bestStep.map { "was at step \($0)" } ?? "is of an older checkpoint"
        return "stopped: no better validation loss in \(evaluations); the best, \(fixed(best, 4)), \(place)"
    }
}
