import Basics
import Collectives
import Kernels
import Optimization
import TokenData
import Transformer

/// What a program that uses the library puts in the place of a run's own parts.
package struct TrainingHooks: Sendable {
    /// In place of the shards of `--train-data`.
    package var source: (any SequenceSource)?
    /// In place of the curve of `--schedule`.
    package var schedule: CustomSchedule?

    /// What all ranks must have alike; the data says it itself.
    var compared: [(name: String, value: String)] { schedule.map { [("schedule of the program", $0.name)] } ?? [] }

    package init(source: (any SequenceSource)? = nil, schedule: CustomSchedule? = nil) {
        self.source = source
        self.schedule = schedule
    }
}

/// Training data of a program's own: the tokens of every position of a run.
package protocol SequenceSource: Sendable {
    /// What checkpoints and messages call the data: another name means other data.
    var name: String { get }
    /// Ids are below it.
    var vocabularySize: Int { get }
    /// Positions after which it begins anew; nil: never.
    var sequencesPerEpoch: Int? { get }
    /// Where the tokenizer of the ids lies, which checkpoints then carry; nil: ids are no text.
    var tokenizerFolder: FilePath? { get }
    /// Writes the tokens of a position, from 0, that counts on over all ranks, steps and epochs: the same ones at every
    /// call and on every rank.
    /// - Parameter tokens: one more than the model's context; each but the last is an input, each but the first a target.
    func fill(_ tokens: inout MutableSpan<Int32>, position: Int) throws
}

extension SequenceSource {
    /// The data's name for checkpoints, which no hash of shards is equal to; the same on all ranks or an error of all.
    func identity(on communicator: any Communicator) throws -> String {
        let identity = "source \(printable(name))"
        let size = sequencesPerEpoch.map { ", \($0) sequences an epoch" } ?? ""
        try communicator.agree(on: [("training data", "\(identity), \(vocabularySize) tokens\(size)")])
        return identity
    }

    /// Checks what does not depend on tokens.
    /// - Throws: exit code 64.
    func requireFit(_ shape: DecoderConfiguration) throws {
        guard (1...shape.vocabularySize).contains(vocabularySize) else {
            throw ExitError.usage(
                "the data source '\(printable(name))' has \(vocabularySize) token ids, the model \(shape.vocabularySize); "
                    + "give a model with as many")
        }
        guard sequencesPerEpoch ?? 1 > 0 else {
            throw ExitError.usage(
                "the data source '\(printable(name))' has \(sequencesPerEpoch ?? 0) sequences, expected 1 or more")
        }
    }
}

extension LearningRateScheduler {
    /// Checks the rate that comes next: the same one on all ranks, so all stop or none does.
    func requireUsableRateOfAll() throws(AgreedError) {
        do {
            try requireUsableRate()
        } catch {
            throw AgreedError(error)
        }
    }
}

/// Brings sequences of a program's own into the model, through memory of its own that is taken once.
final class SourceReader {
    let source: any SequenceSource
    private var tokens: [Int32]

    init(_ source: any SequenceSource, contextLength: Int) {
        self.source = source
        tokens = [Int32](repeating: 0, count: contextLength + 1)
    }

    /// Copies the sequence of a position to a row of the model's inputs and targets.
    /// - Throws: exit code 65 for an id that is none; what the source throws.
    func copySequence(at position: Int, to row: Int, of model: any LanguageModel) throws {
        let length = tokens.count - 1
        try fill(position)
        let range = row * length..<(row + 1) * length
        model.inputs.withMutableSpan(range) { inputs in
            for index in 0..<length { inputs[index] = tokens[index] }
        }
        model.targets.withMutableSpan(range) { targets in
            for index in 0..<length { targets[index] = tokens[index + 1] }
        }
        guard let bad = tokens.firstIndex(where: { !(0..<Int32(clamping: source.vocabularySize)).contains($0) }) else {
            return
        }
        throw ExitError.badInput(
            "the data source '\(printable(source.name))' gives token id \(tokens[bad]) at token \(bad) of sequence "
                + "\(position), expected 0 to \(source.vocabularySize - 1)")
    }

    /// The memory is the method's own meanwhile: a span of a property could be seen by others.
    private func fill(_ position: Int) throws {
        var own: [Int32] = []
        swap(&own, &tokens)
        defer { swap(&own, &tokens) }
        var span = own.mutableSpan
        try source.fill(&span, position: position)
    }
}
