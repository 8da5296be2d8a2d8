import Basics
import Collectives
import Transformer

extension TrainingSetup {
    /// Prints the effective configuration and what it amounts to, before the first step.
    func announce(_ reporter: any Reporter, communicator: any Communicator) {
        let shape = model.configuration
        let plan = loader.plan
        let ranks = communicator.worldSize
        let options = configuration.effective.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
        reporter.line("configuration: \(options)")
        reporter.line(
            "ranks: \(ranks) (\(communicator.implementation)), \(configuration.threads ?? 1) "
                + "\(configuration.threads == 1 ? "thread" : "threads") each, reduction \(configuration.reduction.rawValue)"
        )
        reporter.line(
            "model: \(shape.parameterCount) parameters, \(shape.layerCount) layers, \(shape.headCount) heads, "
                + "embedding \(shape.embeddingSize), context \(shape.contextLength), vocabulary \(shape.vocabularySize)"
        )
        let sequences = loader.order.sequenceCount
        let perEpoch = Double(sequences) / Double(plan.globalBatch)
        reporter.line(
            "data: \(loader.stream.tokenCount) tokens in \(loader.stream.shards.count) "
                + "\(loader.stream.shards.count == 1 ? "shard" : "shards"), \(sequences) sequences, "
                + "\(fixed(perEpoch, 1)) steps an epoch")
        reporter.line(
            "batch: \(plan.globalBatch) sequences = \(plan.accumulation) × \(plan.microBatch) × \(ranks) ranks, "
                + "\(plan.globalBatch * shape.contextLength) tokens a step")
        if let advice = bitsAdvice(ranks: ranks) { reporter.warning(advice) }
        // Weights, two moments; a save keeps the old checkpoints until the new one is durable.
        let bytes = 12 * shape.parameterCount
        reporter.line("checkpoint: \(bytes / 1_000_000) MB each, \(configuration.keep) kept")
        if let free = runDirectory?.freeBytes, free < 2 * bytes {
            reporter.warning(
                "only \(free / 1_000_000) MB are free in \(configuration.runDirectory), two checkpoints need "
                    + "\(2 * bytes / 1_000_000) MB; make room or choose another --run-dir")
        }
    }

    private func bitsAdvice(ranks: Int) -> String? {
        let accumulation = loader.plan.accumulation
        guard configuration.reduction == .exact, ranks > 1, accumulation & (accumulation - 1) != 0 else { return nil }
        return "\(accumulation) micro-batches a rank are no power of two: another number of ranks will give other last "
            + "bits; choose --global-batch so that each rank has 1, 2, 4, … micro-batches if that matters"
    }
}
