import Kernels
import TestSupport
import Testing
import Transformer

/// Passes that cut the sequences of a micro-batch into pieces: they are more and shorter sequences, and nothing else.
@Suite struct PieceTests {
    private static let context = 24
    private static let lengths = [3, 8, 12]
    private static let dropout = DropoutRates(embedding: 0.1, attention: 0.3, residual: 0.2)

    /// A model that can be cut; with `length`, one whose context is that, with the same weights and the same tokens in a
    /// row.
    private func model(
        _ family: String, length: Int? = nil, precision: Precision = .fp32, threads: Int = 1, recomputes: Bool = false,
        drops: Bool = false
    ) throws -> TestModel {
        let variant = try #require(Families.all[family])
        func make(context: Int, batch: Int, pieceLengths: [Int] = []) throws -> TestModel {
            try TestModel(
                vocabulary: 31, context: context, width: 12, layers: 2, heads: 3, batch: batch, precision: precision,
                threads: threads, recomputes: recomputes, dropout: drops ? Self.dropout : DropoutRates(),
                pieceLengths: pieceLengths, variant: variant)
        }
        let whole = try make(context: Self.context, batch: 2, pieceLengths: Self.lengths)
        whole.setBatch(seed: 1)
        guard let length else { return whole }
        let short = try make(context: length, batch: 2 * Self.context / length)
        for parameter in short.model.layout.parameters {
            // Of the positions the first ones.
            let own = try #require(whole.model.layout.parameters.first { $0.name == parameter.name })
            let values = whole.model.weights.array()[own.range].prefix(parameter.count)
            short.model.weights.set(Array(values), at: parameter.offset)
        }
        short.model.refreshOperands()
        short.model.inputs.set(whole.model.inputs.array())
        short.model.targets.set(whole.model.targets.array())
        return short
    }

    private func key(_ length: Int?) -> MicroBatchKey {
        MicroBatchKey(seed: 7, step: 3, microBatch: 5, pieceLength: length)
    }

    /// What a run with sequences of that length would compute: the loss and every gradient have its bits, with what is
    /// dropped and with what is computed again. Positions that no piece has get no gradient.
    @Test(arguments: Families.names, Precision.allCases)
    func aPieceIsASequence(family: String, precision: Precision) throws {
        for (length, drops) in Self.lengths.flatMap({ [($0, false), ($0, true)] }) {
            let short = try model(family, length: length, precision: precision, drops: drops)
            let expected = try short.lossAndGradients(key: key(nil))
            for (threads, recomputes) in [(1, false), (2, true)] {
                let cut = try model(
                    family, precision: precision, threads: threads, recomputes: recomputes, drops: drops)
                let (loss, gradients) = try cut.lossAndGradients(key: key(length))
                #expect(loss == expected.loss, "pieces of \(length), \(drops)")
                for parameter in cut.model.layout.parameters {
                    let own = try #require(short.model.layout.parameters.first { $0.name == parameter.name })
                    let bits = gradients[parameter.range].map(\.bitPattern)
                    let shorter = expected.gradients[own.range].map(\.bitPattern)
                    let isSame = bits.prefix(own.count).elementsEqual(shorter)
                    #expect(isSame, "\(parameter.name), pieces of \(length), \(threads) threads")
                    #expect(bits.dropFirst(own.count).allSatisfy { $0 == 0 })
                }
            }
        }
    }

    /// After a pass over pieces a pass over whole sequences, and one without gradients, are what they were.
    @Test(arguments: Families.names, Precision.allCases)
    func onlyThatPassIsCut(family: String, precision: Precision) throws {
        let test = try model(family, precision: precision)
        let loss = try test.model.loss(sequences: 2)
        let whole = try test.lossAndGradients()
        var losses: Set = [whole.loss]
        for length in Self.lengths { losses.insert(try test.lossAndGradients(key: key(length)).loss) }
        #expect(losses.count == 1 + Self.lengths.count)
        #expect(try test.model.loss(sequences: 2) == loss)
        let again = try test.lossAndGradients()
        #expect(again.loss == whole.loss)
        let isSame = again.gradients.map(\.bitPattern) == whole.gradients.map(\.bitPattern)
        #expect(isSame)
    }

    /// What pieces take is the scratch of their attention alone, and the plan has it.
    @Test(arguments: Precision.allCases) func memoryOfPieces(precision: Precision) throws {
        let compute = try Compute(threadCount: 2)
        func bytes(_ lengths: [Int], reserves: Bool = false) throws -> [MemoryUse: Int] {
            let configuration = try DecoderConfiguration(
                vocabularySize: 31, contextLength: 256, embeddingSize: 48, layerCount: 2, headCount: 3)
            let memory = reserves ? Memory() : Memory(planningWithin: .max)
            _ = try makeLanguageModel(
                configuration, precision: precision, microBatch: 2, compute: compute, pieceLengths: lengths,
                memory: memory)
            return memory.bytes
        }
        let (without, with) = (try bytes([]), try bytes([64, 128]))
        #expect(try bytes([64, 128], reserves: true) == with)
        for use in MemoryUse.allCases where use != .scratch { #expect(with[use] == without[use], "\(use)") }
        let (more, before) = (with[.scratch] ?? 0, without[.scratch] ?? 0)
        #expect(more > before && more < 3 * before, "\(before) and \(more)")
    }
}
