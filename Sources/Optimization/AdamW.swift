import Kernels

/// AdamW with decoupled weight decay (Loshchilov & Hutter 2019), in PyTorch's form, over flat arenas.
///
/// One pass reads and writes weights and both moments, applies the clip factor to the gradients on the way, and
/// refreshes the bf16 copy of the weights. It leaves alone what its ranges do not cover.
package final class AdamW: Optimizer {
    /// What stays the same over a run.
    package struct Hyperparameters: Equatable, Sendable {
        /// Decay of tensors of two or more dimensions; others do not decay.
        package var weightDecay = 0.1
        /// Decay of the first moment.
        package var beta1 = 0.9
        /// Decay of the second moment.
        package var beta2 = 0.95
        /// Added to the root of the second moment.
        package var epsilon = 1e-8

        package init() {}
    }

    /// The run's constants.
    package let hyperparameters: Hyperparameters
    package let moments: [Moments]
    /// Running mean of gradients, the ranges side by side.
    package var firstMoments: Buffer<Float> { moments[0].arena }
    /// Running mean of squared gradients, laid out alike.
    package var secondMoments: Buffer<Float> { moments[1].arena }
    /// Updates made so far; set when a checkpoint is loaded.
    package var step: Int
    package var timeline: Timeline?
    private let ranges: [(range: Range<Int>, decays: Bool)]

    /// Moments of zero for these ranges of an arena.
    /// - Throws: `KernelError` when memory cannot be reserved.
    package init(
        _ hyperparameters: Hyperparameters, ranges: [(range: Range<Int>, decays: Bool)], memory: Memory = Memory()
    ) throws(KernelError) {
        self.hyperparameters = hyperparameters
        self.ranges = ranges
        let places = ranges.map(\.range)
        moments = [
            try Moments("first moments", prefix: "exp_avg.", of: places, memory: memory),
            try Moments("second moments", prefix: "exp_avg_sq.", of: places, memory: memory),
        ]
        step = 0
    }

    package func update(
        _ weights: Buffer<Float>, gradients: Buffer<Float>, copy: Buffer<BFloat16>?, rates: LearningRates,
        gradientScale: Double, pool: ThreadPool
    ) {
        step += 1
        let began = timeline == nil ? 0 : Timeline.now()
        var start = 0
        for (range, decays) in ranges {
            let place = start..<start + range.count
            AdamWUpdate.apply(
                pool, weights: weights[range], gradients: gradients[range], firstMoments: firstMoments[place],
                secondMoments: secondMoments[place], copy: copy.map { $0[range] },
                AdamWUpdate.Coefficients(
                    learningRate: rates.adamW, weightDecay: decays ? hyperparameters.weightDecay : 0,
                    beta1: hyperparameters.beta1, beta2: hyperparameters.beta2, epsilon: hyperparameters.epsilon,
                    step: step, gradientScale: gradientScale))
            start = place.upperBound
        }
        timeline?.record(.optimizer, since: began)
    }
}

/// Clipping of the gradient's global norm, as `torch.nn.utils.clip_grad_norm_` does it.
package enum GradientClipping {
    /// What to multiply gradients of this norm by: at most 1. A `maximum` of 0 turns clipping off.
    package static func factor(norm: Double, maximum: Double) -> Double {
        maximum > 0 ? min(1, maximum / (norm + 1e-6)) : 1
    }
}
