import Basics
import Collectives
import DataParallel
import Kernels
import Optimization
import Transformer

/// What updates the weights; raw values are the words of `--optimizer`.
package enum OptimizerKind: String, CaseIterable, Sendable {
    case adamW = "adamw"
    case muon
}

extension TrainingConfiguration {
    /// Makes the optimizer of a model's weights. All ranks make the same one.
    /// - Throws: `KernelError` when memory cannot be reserved (64) or oneDNN fails (70).
    func makeOptimizer(
        _ layout: ParameterLayout, _ compute: Compute, _ communicator: any Communicator, _ memory: Memory
    ) throws(KernelError) -> any Optimizer {
        switch optimizerKind {
        case .adamW:
            return try AdamW(optimizer, ranges: layout.decayRanges, memory: memory)
        case .muon:
            let matrices = layout.matrices
            let others = try AdamW(optimizer, ranges: layout.decayRanges { $0.layer == nil }, memory: memory)
            return try Muon(
                muon, matrices: matrices, others: others,
                exchange: MatrixSharing(matrices.map(\.shape), on: communicator), memory: memory
            ) { (shapes) throws(KernelError) in
                try makeNewtonSchulz(compute, shapes: shapes, precision: muonPrecision ?? .fp32, memory: memory)
            }
        }
    }

    /// Decides what `--muon-precision auto` means in this run, on all ranks alike.
    /// - Throws: `AgreedError` (64) where bf16 was asked for and a CPU would have to compute it bit by bit.
    mutating func decideMuonPrecision(on communicator: any Communicator) throws {
        guard optimizerKind == .muon else { return }
        if muonPrecision == nil {
            let isHalf = try communicator.fromRankZero { Compute.hasFastBFloat16 ? [1] : [] }
            muonPrecision = isHalf.isEmpty ? .fp32 : .bf16
        }
        let precision = muonPrecision ?? .fp32
        try communicator.agreeing { try precision.requireInstructions(option: "muon-precision") }
    }

    /// Options for Muon that were given to a run without it.
    var optionsWithoutMuon: [String] {
        guard optimizerKind != .muon else { return [] }
        return Self.options.filter { $0.name.hasPrefix("muon-") && $0.write(self) != $0.write(Self()) }.map(\.name)
    }
}

extension ParameterLayout {
    /// The matrices of the blocks' linear layers: queries, keys and values apart where the family has them apart.
    var matrices: [Muon.Matrix] {
        parameters.compactMap { parameter in
            parameter.layer.map { layer in
                Muon.Matrix(
                    range: parameter.range, shape: MatrixShape(rows: parameter.shape[0], columns: parameter.shape[1]),
                    inputs: layer.inputs, outputs: layer.outputs)
            }
        }
    }
}

extension MatrixSharing: MatrixExchange {}
