import Kernels

/// AdamW with decoupled weight decay (Loshchilov & Hutter 2019), in PyTorch's form, over flat arenas.
///
/// One pass reads and writes weights and both moments, applies the clip factor to the gradients on the way, and
/// refreshes the bf16 copy of the weights.
package final class AdamW {
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
    /// Running mean of gradients, laid out as the weights.
    package let firstMoments: Buffer<Float>
    /// Running mean of squared gradients, laid out as the weights.
    package let secondMoments: Buffer<Float>
    /// Updates made so far; set when a checkpoint is loaded.
    package var step: Int
    private let ranges: [(range: Range<Int>, decays: Bool)]

    /// Moments of zero for an arena that `ranges` covers.
    /// - Throws: `KernelError` when memory cannot be reserved.
    package init(
        _ hyperparameters: Hyperparameters, ranges: [(range: Range<Int>, decays: Bool)], memory: Memory = Memory()
    ) throws(KernelError) {
        self.hyperparameters = hyperparameters
        self.ranges = ranges
        let count = ranges.last?.range.upperBound ?? 0
        firstMoments = try memory.buffer(.moments, count)
        secondMoments = try memory.buffer(.moments, count)
        step = 0
    }

    /// Makes one update. Each gradient is multiplied by `gradientScale` first; `copy` is refreshed if there is one.
    package func update(
        _ weights: Buffer<Float>, gradients: Buffer<Float>, copy: Buffer<BFloat16>?, learningRate: Double,
        gradientScale: Double, pool: ThreadPool
    ) {
        step += 1
        for (range, decays) in ranges {
            AdamWUpdate.apply(
                pool, weights: weights[range], gradients: gradients[range], firstMoments: firstMoments[range],
                secondMoments: secondMoments[range], copy: copy.map { $0[range] },
                AdamWUpdate.Coefficients(
                    learningRate: learningRate, weightDecay: decays ? hyperparameters.weightDecay : 0,
                    beta1: hyperparameters.beta1, beta2: hyperparameters.beta2, epsilon: hyperparameters.epsilon,
                    step: step, gradientScale: gradientScale))
        }
    }
}

/// Clipping of the gradient's global norm, as `torch.nn.utils.clip_grad_norm_` does it.
package enum GradientClipping {
    /// What to multiply gradients of this norm by: at most 1. A `maximum` of 0 turns clipping off.
    package static func factor(norm: Double, maximum: Double) -> Double {
        maximum > 0 ? min(1, maximum / (norm + 1e-6)) : 1
    }
}
