import Kernels
import TokenData
import Transformer

/// Brings a micro-batch's tokens into the model: the only place where positions of the sample order become tokens.
struct BatchLoader {
    let stream: TokenStream
    let order: SampleOrder
    let plan: BatchPlan
    let contextLength: Int

    /// Fills the model's inputs and targets [B, T] with global micro-batch `microBatch` of optimizer step `step`.
    func load(step: Int, microBatch: Int, into model: any LanguageModel) throws {
        for (row, position) in plan.positions(step: step, microBatch: microBatch).enumerated() {
            try stream.copySequence(order.sequence(at: position).index, to: row, of: model, contextLength)
        }
    }

    /// The epoch, from 0, of the last sequence before this position.
    func epoch(before position: Int) -> Int { order.sequence(at: max(0, position - 1)).epoch }
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
