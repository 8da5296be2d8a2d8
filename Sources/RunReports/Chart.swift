import Basics
import Glibc

/// One number of some runs over their steps, tokens or hours: what `swiftlet plot` draws.
package struct Chart {
    /// What is drawn; raw values are the words of `--metric`.
    package enum Metric: String, CaseIterable, Sendable {
        case loss
        case validationLoss = "val_loss"
        case validationBits = "val_bpb"
        case learningRate = "lr"
        case muonLearningRate = "muon_lr"
        case gradientNorm = "grad_norm"
        case speed = "tokens_per_second"
        case ceilingShare = "ceiling_share"

        var field: MetricField {
            switch self {
            case .loss: .trainLoss
            case .validationLoss: .validationLoss
            case .validationBits: .validationBits
            case .learningRate: .learningRate
            case .muonLearningRate: .muonLearningRate
            case .gradientNorm: .gradientNorm
            case .speed: .speed
            case .ceilingShare: .ceilingShare
            }
        }

        /// For a heading.
        var title: String {
            switch self {
            case .loss: "train loss, nats"
            case .validationLoss: "validation loss, nats"
            case .validationBits: "validation loss, bits a byte"
            case .learningRate: "learning rate"
            case .muonLearningRate: "Muon's learning rate"
            case .gradientNorm: "gradient norm"
            case .speed: "tokens a second"
            case .ceilingShare: "share of the ceiling"
            }
        }
    }

    /// What it is drawn over; raw values are the words of `--x`.
    package enum Axis: String, CaseIterable, Sendable {
        case step, tokens, hours

        /// Below the axis.
        var title: String {
            switch self {
            case .step: "steps"
            case .tokens: "tokens"
            case .hours: "hours of steps"
            }
        }
    }

    /// The points of a run.
    package struct Curve {
        /// The run's.
        package let name: String
        /// Places on the axis, rising.
        package var x: [Double] = []
        /// The number at each.
        package var y: [Double] = []
    }

    let metric: Metric
    let axis: Axis
    /// One for each run, in their order; finite points alone.
    package let curves: [Curve]
    /// Of the axis.
    package let horizontal: ChartScale
    /// Of the numbers.
    package let vertical: ChartScale

    /// - Parameters:
    ///   - isLog: whether the values go by their logarithms.
    ///   - reach: the steps over which values are smoothed, 0 for none: the weights of earlier ones fall by e over as many.
    /// - Throws: 65 where a run has no such number, or none above zero for a logarithm.
    package init(_ runs: [RunHistory], metric: Metric, axis: Axis, isLog: Bool, reach: Double) throws(ExitError) {
        self.metric = metric
        self.axis = axis
        var curves: [Curve] = []
        for run in runs {
            var curve = Self.curve(run, metric.field, axis, reach)
            let kept = curve.y.indices.filter { curve.y[$0].isFinite && (!isLog || curve.y[$0] > 0) }
            (curve.x, curve.y) = (kept.map { curve.x[$0] }, kept.map { curve.y[$0] })
            guard !kept.isEmpty else {
                throw ExitError(
                    .badInput,
                    "\(run.path.shown) has no \(metric.rawValue)\(isLog ? " above zero" : ""); choose another --metric")
            }
            curves.append(curve)
        }
        self.curves = curves
        let (x, y) = (curves.flatMap(\.x), curves.flatMap(\.y))
        horizontal = ChartScale(x.min() ?? 0, x.max() ?? 1)
        let (low, high) = (y.min() ?? 0, y.max() ?? 1)
        let margin = (high - low) * 0.04
        vertical =
            isLog ? ChartScale(low / 1.05, high * 1.05, isLog: true) : ChartScale(low - margin, high + margin)
    }

    private static func curve(_ run: RunHistory, _ field: MetricField, _ axis: Axis, _ reach: Double) -> Curve {
        var curve = Curve(name: run.name)
        let metrics = run.metrics
        guard let series = metrics.series[field] else { return curve }
        guard reach > 0 else {
            curve.x = series.points.map { metrics.position(Double($0.step), axis) }
            curve.y = series.points.map { Double($0.value) }
            return curve
        }
        var (sum, weight, last) = (0.0, 0.0, 0.0)
        for (index, mean) in series.means.enumerated() where mean.isFinite {
            let (step, count) = (Double(metrics.steps[index]), Double(metrics.counts[index]))
            let kept = exp((last - step) / reach)
            (sum, weight, last) = (sum * kept + Double(mean) * count, weight * kept + count, step)
            curve.x.append(metrics.position(step, axis))
            curve.y.append(sum / weight)
        }
        return curve
    }
}

extension MetricsHistory {
    /// Where a step lies on an axis: between the ends of the parts it goes straight.
    func position(_ step: Double, _ axis: Chart.Axis) -> Double {
        let values = axis == .tokens ? tokens : hours
        guard axis != .step, !steps.isEmpty else { return step }
        var (low, high) = (0, steps.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if Double(steps[middle]) < step { low = middle + 1 } else { high = middle }
        }
        let (before, start) = low > 0 ? (Double(steps[low - 1]), values[low - 1]) : (0, 0)
        let end = Double(steps[low])
        let share = end > before ? min(1, (step - before) / (end - before)) : 1
        return start + share * (values[low] - start)
    }
}
