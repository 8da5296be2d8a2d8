import Basics
import Testing
import Training

/// What `generate` refuses; what it writes is in EndToEndTests.
@Suite struct TextGenerationTests {
    @Test("S8: ids of a model without a tokenizer mean no text") func noTokenizer() throws {
        var options = TextGeneration.Options()
        options.checkpoint = FilePath(Curve.directory)
        options.prompt = "a"
        let error = try #require(throws: ExitError.self) {
            try TextGeneration.run(options, warn: { _ in }, write: { _ in Issue.record("something was written") })
        }
        #expect(error.exitCode == .missingInput)
        #expect(error.description.contains(" holds neither tokenizer.json nor vocab.json with merges.txt"))
    }
}
