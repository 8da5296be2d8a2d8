import Basics
import Kernels
import TokenData
import Transformer

/// Brings a micro-batch's tokens into the model: the only place where positions of the sample order become tokens.
struct BatchLoader {
    /// Where sequences come from.
    enum Sequences {
        case shards(TokenStream, SampleOrder)
        case own(SourceReader)
    }

    let sequences: Sequences
    let plan: BatchPlan
    let contextLength: Int

    /// The shards; nil where a program has data of its own.
    var stream: TokenStream? {
        guard case .shards(let stream, _) = sequences else { return nil }
        return stream
    }

    /// Sequences of an epoch; nil where there are no epochs.
    var sequenceCount: Int? {
        switch sequences {
        case .shards(_, let order): order.sequenceCount
        case .own(let reader): reader.source.sequencesPerEpoch
        }
    }

    /// Fills the model's inputs and targets [B, T] with global micro-batch `microBatch` of optimizer step `step`.
    func load(step: Int, microBatch: Int, into model: any LanguageModel) throws {
        for (row, position) in plan.positions(step: step, microBatch: microBatch).enumerated() {
            switch sequences {
            case .shards(let stream, let order):
                try stream.copySequence(order.sequence(at: position).index, to: row, of: model, contextLength)
            case .own(let reader): try reader.copySequence(at: position, to: row, of: model)
            }
        }
    }

    /// The epoch, from 0, of the sequence at a position.
    func epoch(at position: Int) -> Int {
        switch sequences {
        case .shards(_, let order): order.sequence(at: position).epoch
        case .own(let reader): reader.source.sequencesPerEpoch.map { position / $0 } ?? 0
        }
    }

    /// The epoch, from 0, of the last sequence before this position.
    func epoch(before position: Int) -> Int { epoch(at: max(0, position - 1)) }

    /// What there is to train on, for people.
    var summary: String {
        var text: String
        switch sequences {
        case .shards(let stream, _):
            let shards = stream.shards.count
            text = "\(stream.tokenCount) tokens in \(shards) \(shards == 1 ? "shard" : "shards"), "
        case .own(let reader):
            text = "source '\(printable(reader.source.name))', "
        }
        guard let count = sequenceCount else { return text + "without epochs" }
        return text + "\(count) sequences, \(fixed(Double(count) / Double(plan.globalBatch), 1)) steps an epoch"
    }
}

extension TokenStream {
    /// Copies a sequence to a row of the model's inputs and targets.
    func copySequence(_ index: Int, to row: Int, of model: any LanguageModel, _ contextLength: Int) throws {
        let range = row * contextLength..<(row + 1) * contextLength
        try model.inputs.withMutableSpan(range) { inputs throws(any Error) in
            try model.targets.withMutableSpan(range) { targets throws(any Error) in
                try copySequence(index, contextLength: contextLength, inputs: &inputs, targets: &targets)
            }
        }
    }
}
