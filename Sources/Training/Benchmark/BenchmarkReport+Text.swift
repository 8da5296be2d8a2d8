import Basics
import Foundation

extension Benchmark.Report {
    /// The report for people.
    package var text: String {
        func row(_ name: String, _ format: String, _ numbers: Double...) -> String {
            "  " + name.padding(toLength: 20, withPad: " ", startingAt: 0) + String(format: format, arguments: numbers)
        }
        func share(_ milliseconds: Double) -> Double { 100 * milliseconds / stepMilliseconds }
        var lines = ["ceilings of this machine"]
        for (precision, alone) in ceilings.matmulAlone.sorted(by: { $0.key < $1.key }) {
            let together = (ceilings.matmulTogether[precision] ?? 0) * Double(ranks)
            lines.append(
                "  matmul \(precision)   one rank alone \(fixed(alone, 1)) GFLOP/s, all \(ranks) at once "
                    + "\(fixed(together, 1)) GFLOP/s")
        }
        for (precision, speed) in ceilings.instructionTogether.sorted(by: { $0.key < $1.key }) {
            lines.append(
                "  instruction \(precision)   from registers alone, all \(ranks) at once "
                    + "\(fixed(speed * Double(ranks), 1)) GFLOP/s")
        }
        lines.append("  memory        \(fixed(ceilings.memoryGigabytes, 1)) GB/s a rank, read and written")
        if let reduction = ceilings.reductionGigabytes {
            lines.append("  reduction     \(fixed(reduction, 2)) GB/s of summed gradients")
        }
        lines += [
            "",
            "step: \(parameters) parameters, \(precision), \(ranks) ranks × \(threadsPerRank) threads, "
                + "\(globalBatch) sequences of \(contextLength), median of \(steps)",
            "  part                       ms    share     best ms    floor ms",
        ]
        lines += breakdown.parts.map {
            row(
                $0.name, " %9.2f %7.1f %% %11.2f %10.2f", $0.milliseconds, share($0.milliseconds), $0.bestMilliseconds,
                $0.floorMilliseconds)
        }
        let rest = stepMilliseconds - breakdown.parts.reduce(0) { $0 + $1.milliseconds }
        lines += [
            row("everything else", " %9.2f %7.1f %%", rest, share(rest)), row("step", " %9.2f", stepMilliseconds), "",
            "  GFLOP/s of a rank      forward  input gradient  weight gradient",
        ]
        lines += breakdown.products.map {
            row("matmul \($0.name)", " %9.1f %15.1f %16.1f", $0.forward, $0.inputGradient, $0.weightGradient)
        }
        lines += [
            "", "tokens/s              \(fixed(tokensPerSecond, 1))",
            "model GFLOP/s         \(fixed(modelGigaflops, 1))  (\(Benchmark.flopsFormula))",
            "share of the ceiling  \(fixed(100 * modelFlopsUtilization, 1)) %  (MFU)",
            "share of instruction  \(fixed(100 * instructionUtilization, 1)) %",
            "averaging, waiting    \(fixed(100 * averagingShare, 2)) % of a step",
            "optimizer             \(fixed(100 * optimizerShare, 2)) % of a step (\(optimizer))"
                + (newtonSchulzShare.map { ", Newton-Schulz \(fixed(100 * $0, 2)) % (\(muonPrecision ?? ""))" } ?? ""),
            "peak memory a rank    \(fixed(peakMemoryMegabytes, 0)) MB",
        ]
        return lines.joined(separator: "\n")
    }

    /// The report for scripts.
    package var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
