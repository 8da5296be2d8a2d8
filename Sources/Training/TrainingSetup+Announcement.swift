import Basics
import Collectives
import DataParallel
import Transformer

extension TrainingSetup {
    /// Prints the effective configuration and what it amounts to, before the first step.
    func announce(_ reporter: any Reporter, communicator: any Communicator) {
        let shape = parts.model.configuration
        let plan = loader.plan
        let ranks = communicator.worldSize
        let options = configuration.values.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
        let lines: [String?] = [
            "configuration: \(options)",
            "ranks: \(ranks) (\(communicator.implementation)), \(configuration.threads ?? 1) "
                + "\(configuration.threads == 1 ? "thread" : "threads") each, reduction \(configuration.reduction.rawValue)",
            // The log line has the word of other trainers for it.
            parts.model.precision == .bf16
                ? "amp true: matrix products in bf16 (precision bf16)" : "amp false: all in fp32 (precision fp32)",
            "model: \(shape.architecture.rawValue), \(shape.parameterCount) parameters, \(shape.layerCount) layers, \(shape.headCount) heads, "
                + "embedding \(shape.embeddingSize), context \(shape.contextLength), vocabulary \(shape.vocabularySize)"
                + shape.differences.map { ", \($0)" }.joined(),
            "data: \(loader.summary)",
            "batch: \(plan.globalBatch) sequences = \(plan.accumulation) × \(plan.microBatch) × \(ranks) ranks, "
                + "\(plan.globalBatch * shape.contextLength) tokens a step",
            optimizerRemark(communicator),
            configuration.sequenceWarmup.map { warmup in
                let steps = scheduler.schedule.totalSteps
                return "sequences: \(warmup.description(of: steps, contextLength: shape.contextLength))"
            },
            memoryPlan.text, evaluator.map { "validation: \($0.coverage)" }, scheduleRemark.map { "schedule: \($0)" },
        ]
        lines.compactMap { $0 }.forEach(reporter.line)
        announceBits(reporter, ranks: ranks)
        // Weights and what the optimizer remembers; a save keeps the old checkpoints until the new one is durable.
        let layout = parts.model.layout
        let values = layout.places(of: parts.optimizer.moments).reduce(shape.parameterCount) { $0 + $1.range.count }
        let bytes = values * MemoryLayout<Float>.stride
        let besides = configuration.keepBest ? ", and the best" : ""
        reporter.line("checkpoint: \(bytes / 1_000_000) MB each, \(configuration.keep) kept\(besides)")
        if let free = runDirectory?.freeBytes, free < 2 * bytes {
            reporter.warning(
                "only \(free / 1_000_000) MB are free in \(configuration.runDirectory.shown), two checkpoints need "
                    + "\(2 * bytes / 1_000_000) MB; make room or choose another --run-dir")
        }
    }

    /// What Muon computes and where, or which of its options have no effect.
    private func optimizerRemark(_ communicator: any Communicator) -> String? {
        guard configuration.optimizerKind == .muon else {
            let flags = configuration.optionsWithoutMuon.map { "--" + $0 }
            return flags.isEmpty
                ? nil
                : "\(flags.joined(separator: ", ")) \(flags.count == 1 ? "has" : "have") no effect without --optimizer muon"
        }
        let matrices = parts.model.layout.matrices
        let isShared = MatrixSharing(matrices.map(\.shape), on: communicator) != nil
        return
            "optimizer: muon for \(matrices.count) matrices of \(matrices.reduce(0) { $0 + $1.range.count }) parameters, "
            + "\((configuration.muonPrecision ?? .fp32).rawValue) products\(isShared ? " shared by the ranks" : ""); "
            + "AdamW for the rest"
    }

    /// What a schedule does otherwise than its words suggest.
    private var scheduleRemark: String? {
        let schedule = scheduler.schedule
        if schedule.custom != nil { return schedule.kindText }
        let (total, warmup) = (schedule.totalSteps, schedule.warmupSteps)
        guard schedule.kind != .constant else { return nil }
        guard warmup < total else {
            return
                "the warm-up of \(warmup) steps leaves none of \(total) for a decay; give a smaller --warmup-steps, or "
                + "--schedule constant if this is meant"
        }
        guard schedule.kind == .wsd, configuration.decaySteps == nil, configuration.decayShare == nil,
            schedule.decaySteps < (total + 4) / 5
        else {
            return nil
        }
        return "the warm-up leaves \(schedule.decaySteps) of \(total) steps for the decay of wsd, less than a fifth; "
            + "give a smaller --warmup-steps, or these as --decay-steps if this is meant"
    }

    /// On which numbers of ranks this run would have the same bits, where not on all that share its micro-batches evenly.
    private func announceBits(_ reporter: any Reporter, ranks: Int) {
        guard configuration.reduction == .exact else { return }
        let all = loader.plan.microBatchCount
        func isPowerOfTwo(_ n: Int) -> Bool { n & (n - 1) == 0 }
        // Sums of 1, 2, 4, 8, … micro-batches are whole branches of the tree over all of them; on one rank all are one.
        func hasTheBits(_ ranks: Int) -> Bool { ranks == 1 || isPowerOfTwo(all / ranks) }
        guard !isPowerOfTwo(all) else { return }
        let advice =
            "choose --global-batch / --micro-batch = 1, 2, 4, 8, … to have the same bits on every number of ranks"
        guard hasTheBits(ranks) else {
            return reporter.warning(
                "\(loader.plan.accumulation) micro-batches a rank are no power of two: another number of ranks has other "
                    + "last bits; \(advice)")
        }
        let same = (1...min(all, 1024)).filter { all % $0 == 0 && hasTheBits($0) }.map(String.init)
        reporter.line(
            "bits: the same on \(same.prefix(8).joined(separator: ", "))\(same.count > 8 ? ", …" : "") ranks, others on "
                + "other numbers of ranks, for \(all) micro-batches a step are no power of two; \(advice)")
    }
}
