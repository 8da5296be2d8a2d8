import Kernels
import TestSupport
import Testing
import Transformer

/// Our gradients against central differences of a plain model in Double: no formula for a gradient is involved.
@Suite struct FiniteDifferenceTests {
    struct Shape: CustomTestStringConvertible {
        var vocabulary: Int
        var context: Int
        var width: Int
        var layers: Int
        var heads: Int
        var batch: Int
        /// Elements of each tensor that are tried.
        var samples: Int
        var testDescription: String { "V \(vocabulary) T \(context) C \(width) L \(layers) H \(heads) B \(batch)" }
    }

    static let shapes = [
        Shape(vocabulary: 11, context: 7, width: 12, layers: 2, heads: 3, batch: 2, samples: 12),
        Shape(vocabulary: 5, context: 1, width: 16, layers: 1, heads: 2, batch: 3, samples: 8),
        Shape(vocabulary: 97, context: 40, width: 6, layers: 1, heads: 1, batch: 1, samples: 8),
        Shape(vocabulary: 13, context: 257, width: 8, layers: 1, heads: 2, batch: 1, samples: 2),
    ]

    @Test(arguments: Variants.names)
    func everyTensorOfAVariant(name: String) throws {
        try check(Self.shapes[0], try #require(Variants.all[name]))
    }

    @Test(arguments: shapes)
    func everyTensor(shape: Shape) throws { try check(shape) { _ in } }

    /// Sequences that are cut into pieces are more sequences to the plain model.
    @Test(arguments: Families.names, [1, 3, 4])
    func everyTensorOfACutBatch(name: String, length: Int) throws {
        let shape = Shape(vocabulary: 11, context: 12, width: 12, layers: 2, heads: 3, batch: 2, samples: 6)
        try check(shape, pieceLength: length, try #require(Families.all[name]))
    }

    private func check(
        _ shape: Shape, pieceLength: Int? = nil, _ variant: (inout DecoderConfiguration) -> Void
    ) throws {
        let test = try TestModel(
            vocabulary: shape.vocabulary, context: shape.context, width: shape.width, layers: shape.layers,
            heads: shape.heads, batch: shape.batch, pieceLengths: pieceLength == nil ? [] : [1, 3, 4],
            variant: variant)
        test.setBatch(seed: 1)
        let (loss, gradients) = try test.lossAndGradients(key: MicroBatchKey(pieceLength: pieceLength))
        var reference = test.reference
        if let pieceLength { reference.configuration.contextLength = pieceLength }
        test.expectDifferences(of: &reference, loss, gradients, samples: shape.samples)
    }
}

extension TestModel {
    /// Requires the loss of the plain model, and as gradients central differences of it, `samples` of each tensor.
    func expectDifferences(of reference: inout ReferenceDecoder, _ loss: Double, _ gradients: [Float], samples: Int) {
        let inputs = model.inputs.array()
        let targets = model.targets.array()
        let expected = reference.loss(inputs, targets)
        #expect((loss - expected).magnitude < 1e-6 * expected)
        var random = TestRandom(9)
        for parameter in model.layout.parameters {
            let largest = gradients[parameter.range].reduce(0) { max($0, Double($1.magnitude)) }
            for _ in 0..<samples {
                let place = Int.random(in: parameter.range, using: &random)
                let weight = reference.weights[place]
                // The difference's own error: step² of the third derivative, and 1e-15 of the loss over the step. A larger
                // step would have the corner of a ReLU between its ends now and then.
                let step = 1e-7
                reference.weights[place] = weight + step
                let above = reference.loss(inputs, targets)
                reference.weights[place] = weight - step
                let below = reference.loss(inputs, targets)
                reference.weights[place] = weight
                let difference = (above - below) / (2 * step)
                #expect(
                    (Double(gradients[place]) - difference).magnitude < 2e-5 * largest + 1e-6 * expected,
                    "\(parameter.name)[\(place - parameter.offset)]")
            }
        }
    }
}
