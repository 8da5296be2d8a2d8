import Basics
import Testing
import Transformer

@Suite struct DecoderConfigurationTests {
    @Test(arguments: [
        (0, 8, 16, 1, 1, "vocabulary size is 0"), (10, 0, 16, 1, 1, "context length is 0"),
        (10, 8, -4, 1, 1, "embedding size is -4"), (10, 8, 16, 0, 1, "number of layers is 0"),
        (10, 8, 16, 1, 0, "number of heads is 0"), (10, 8, 16, 1, 5, "nearest number of heads that divides it is 4"),
        (1 << 24, 8, 1 << 16, 1, 16, "parameters, more than"), (10, Int.max, 16, 1, 1, "context length is"),
    ])
    func refusesWhatCannotBe(
        vocabulary: Int, context: Int, width: Int, layers: Int, heads: Int, message: String
    ) throws {
        let error = #expect(throws: ExitError.self) {
            try DecoderConfiguration(
                vocabularySize: vocabulary, contextLength: context, embeddingSize: width, layerCount: layers,
                headCount: heads)
        }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        #expect(error?.exitCode == 64)
    }

    /// With a width of 128, everything but the token embedding is as large as 1552 rows of it: 2³¹ parameters, and a row
    /// more.
    @Test func theLargestModel() throws {
        func parameters(_ vocabulary: Int) throws -> Int {
            try DecoderConfiguration(
                vocabularySize: vocabulary, contextLength: 1, embeddingSize: 128, layerCount: 1, headCount: 1
            ).parameterCount
        }
        #expect(try parameters((1 << 24) - 1552) == 1 << 31)
        let error = #expect(throws: ExitError.self) { try parameters((1 << 24) - 1551) }
        #expect(error?.description.contains("2147483776 parameters, more than the 2147483648 supported") == true)
    }

    @Test("The ends of every range belong to it", arguments: 0..<5) func ranges(place: Int) throws {
        let (name, least, largest) = [
            ("vocabulary size", 2, 1 << 24), ("context length", 1, 1 << 20), ("embedding size", 1, 1 << 17),
            ("number of layers", 1, 1 << 12), ("number of heads", 1, 1 << 12),
        ][place]
        func refusal(_ value: Int) -> String {
            // A width that the number of heads divides, and enough of them for the largest width.
            var sizes = [2, 1, place == 4 ? max(1, value) : 1, 1, place == 2 && value >= 32 ? 32 : 1]
            sizes[place] = value
            do {
                _ = try DecoderConfiguration(
                    vocabularySize: sizes[0], contextLength: sizes[1], embeddingSize: sizes[2], layerCount: sizes[3],
                    headCount: sizes[4])
                return ""
            } catch {
                return error.description
            }
        }
        #expect(refusal(least).isEmpty)
        // One layer of the largest width has more parameters than are supported.
        #expect(place == 2 ? refusal(largest).contains("parameters, more than") : refusal(largest).isEmpty)
        for value in [least - 1, largest + 1] {
            #expect(refusal(value) == "\(name) is \(value), expected a whole number from \(least) to \(largest)")
        }
    }

    private static let parts: [(Families.Variant, String)] = [
        ({ $0.keyValueHeadCount = 3 }, "3 key/value heads evenly; the nearest number of them that divides 4 is 2"),
        ({ $0.keyValueHeadCount = 8 }, "4 heads cannot share 8 key/value heads evenly"),
        ({ $0.keyValueHeadCount = 0 }, "number of key/value heads is 0, expected a whole number from 1 to 4096"),
        ({ $0.headSize = 0 }, "head size is 0, expected a whole number from 1 to 4096"),
        ({ $0.headSize = 4097 }, "head size is 4097"),
        ({ $0.innerSize = 0 }, "inner size is 0"),
        ({ $0.innerSize = (1 << 19) + 1 }, "inner size is 524289"),
        ({ $0.normEpsilon = 0 }, "the norms' epsilon is 0.0"),
        ({ $0.normEpsilon = 1.5 }, "the norms' epsilon is 1.5"),
        ({ $0.normEpsilon = .nan }, "the norms' epsilon is nan"),
        ({ $0.logitSoftCap = 0 }, "the logits' soft-cap is 0.0"),
        ({ $0.logitSoftCap = .infinity }, "the logits' soft-cap is inf"),
        ({ $0.positions = .rotary(RotaryPositions(theta: 1, rotatedSize: 6)) }, "turn 6 columns of a head of 4"),
        ({ $0.keyValueHeadCount = 1 }, ""), ({ $0.headSize = 4096 }, ""), ({ $0.innerSize = 1 }, ""),
        ({ $0.normEpsilon = 1e-12 }, ""), ({ $0.normEpsilon = 1 }, ""), ({ $0.logitSoftCap = 1e-3 }, ""),
        ({ $0.logitSoftCap = 1e6 }, ""), ({ $0.positions = .rotary(RotaryPositions(theta: 1, rotatedSize: 4)) }, ""),
    ]

    /// How its parts go together; the ends of every range belong to it, and then there is no message.
    @Test(arguments: parts)
    func partsGoTogether(change: Families.Variant, message: String) throws {
        var configuration = try DecoderConfiguration(
            vocabularySize: 10, contextLength: 8, embeddingSize: 16, layerCount: 1, headCount: 4)
        change(&configuration)
        guard !message.isEmpty else { return try configuration.validate() }
        let error = #expect(throws: ExitError.self) { try configuration.validate() }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        #expect(error?.exitCode == 64)
    }
}
