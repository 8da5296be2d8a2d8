import Basics
import Foundation

extension Benchmark.Report {
    /// The report for people.
    package var text: String {
        var lines = ["ceilings of this machine"]
        for precision in ceilings.matmulAlone.keys.sorted() {
            let alone = ceilings.matmulAlone[precision] ?? 0
            let together = ceilings.matmulTogether[precision] ?? 0
            lines.append(
                "  matmul \(precision)   one rank alone \(fixed(alone, 1)) GFLOP/s, all \(ranks) at once "
                    + "\(fixed(together * Double(ranks), 1)) GFLOP/s")
        }
        lines.append("  memory        \(fixed(ceilings.memoryGigabytes, 1)) GB/s a rank, read and written")
        if let reduction = ceilings.reductionGigabytes {
            lines.append("  reduction     \(fixed(reduction, 2)) GB/s of summed gradients")
        }
        lines.append("")
        lines.append(
            "step: \(parameters) parameters, \(precision), \(ranks) ranks × \(threadsPerRank) threads, "
                + "\(globalBatch) sequences of \(contextLength), median of \(steps)")
        lines.append("  part                       ms    share     best ms    floor ms")
        for part in breakdown.parts {
            let name = part.name.padding(toLength: 20, withPad: " ", startingAt: 0)
            let share = 100 * part.milliseconds / stepMilliseconds
            lines.append(
                "  \(name) \(column(part.milliseconds, 9, 2)) \(column(share, 7, 1)) % \(column(part.bestMilliseconds, 11, 2)) \(column(part.floorMilliseconds, 10, 2))"
            )
        }
        let known = breakdown.parts.reduce(0) { $0 + $1.milliseconds }
        let rest = stepMilliseconds - known
        let restName = "everything else".padding(toLength: 20, withPad: " ", startingAt: 0)
        lines.append("  \(restName) \(column(rest, 9, 2)) \(column(100 * rest / stepMilliseconds, 7, 1)) %")
        let stepName = "step".padding(toLength: 20, withPad: " ", startingAt: 0)
        lines.append("  \(stepName) \(column(stepMilliseconds, 9, 2))")
        lines.append("")
        lines.append("  GFLOP/s of a rank      forward  input gradient  weight gradient")
        for product in breakdown.products {
            let name = "matmul \(product.name)".padding(toLength: 20, withPad: " ", startingAt: 0)
            lines.append(
                "  \(name) \(column(product.forward, 9, 1)) \(column(product.inputGradient, 15, 1)) \(column(product.weightGradient, 16, 1))"
            )
        }
        lines.append("")
        lines.append("tokens/s              \(fixed(tokensPerSecond, 1))")
        lines.append("model GFLOP/s         \(fixed(modelGigaflops, 1))  (\(Benchmark.flopsFormula))")
        lines.append("share of the ceiling  \(fixed(100 * modelFlopsUtilization, 1)) %  (MFU)")
        lines.append("averaging, waiting    \(fixed(100 * averagingShare, 2)) % of a step")
        lines.append("peak memory a rank    \(fixed(peakMemoryMegabytes, 0)) MB")
        return lines.joined(separator: "\n")
    }

    private func column(_ value: Double, _ width: Int, _ decimals: Int) -> String {
        String(format: "%\(width).\(decimals)f", value)
    }

    /// The report for scripts.
    package var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
