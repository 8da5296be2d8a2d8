import Basics
import Foundation
import Kernels
import Transformer

/// `--debug`: the mean, spread and largest value of every layer's output and of its gradient, and an error that names the
/// first layer with a value that is not finite.
final class DebugObserver {
    /// Whether tensors of this step are shown; non-finite values are looked for in every step.
    var shows = false
    /// The step under way, from 1.
    var step = 0
    private let reporter: any Reporter

    init(reporter: any Reporter) { self.reporter = reporter }

    func observe(_ layer: String, _ tensor: String, _ statistics: TensorStatistics) throws {
        guard statistics.nonFiniteCount == 0 else {
            throw ExitError(
                79,
                "step \(step): the \(tensor) of \(layer) has \(statistics.nonFiniteCount) values that are not finite; it "
                    + "is the first layer that has any; look at its inputs and weights, or give a lower --learning-rate "
                    + "(at a resume with --rewarm N)")
        }
        guard shows else { return }
        let name = layer.padding(toLength: 18, withPad: " ", startingAt: 0)
        let kind = tensor.padding(toLength: 10, withPad: " ", startingAt: 0)
        reporter.line(
            "debug step \(step)  \(name) \(kind)  mean \(short(statistics.mean))  "
                + "std \(short(statistics.standardDeviation))  max |x| \(short(statistics.largestMagnitude))")
    }

    private func short(_ value: Double) -> String { String(format: "%11.4e", value) }
}
