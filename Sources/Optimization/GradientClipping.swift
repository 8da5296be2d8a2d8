import Kernels

/// Clipping of the gradient's global norm, as `torch.nn.utils.clip_grad_norm_` does it.
package struct GradientClipping: Sendable {
    /// The largest norm that passes unchanged; 0 turns clipping off.
    package var maximumNorm: Double

    /// Clips to `maximumNorm`; 0 turns clipping off.
    package init(maximumNorm: Double) { self.maximumNorm = maximumNorm }

    /// What to multiply gradients of this norm by: at most 1.
    package func factor(norm: Double) -> Double {
        maximumNorm > 0 ? min(1, maximumNorm / (norm + 1e-6)) : 1
    }
}
