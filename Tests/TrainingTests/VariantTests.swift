import Basics
import Checkpointing
import Foundation
import Kernels
import TestSupport
import Testing
import Training
import Transformer

/// Models that are computed otherwise than GPT-2: every invariant of a run holds for them too.
@Suite struct VariantTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private static let shape = Result {
        var shape = try DecoderConfiguration(
            vocabularySize: 64, contextLength: 16, embeddingSize: 32, layerCount: 2, headCount: 2, innerSize: 40)
        (shape.activation, shape.normEpsilon, shape.hasTiedHead) = (.gelu, 1e-3, false)
        (shape.scalesAttention, shape.scalesAttentionByLayer) = (false, true)
        return shape
    }

    /// A model directory of this shape, as transformers would write it, with small random weights; `value` gives some of
    /// them another one.
    private func modelDirectory(
        _ shape: DecoderConfiguration? = nil, value: (_ tensor: String) -> Float? = { _ in nil }
    ) throws -> String {
        let path = directory.file("model")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let description = ModelDescription(shape: try shape ?? Self.shape.get())
        try Data(description.configurationJSON()).write(to: URL(fileURLWithPath: path + "/config.json"))
        var random = TestRandom(5)
        var bytes: [UInt8] = []
        try SafetensorsWriter.write(
            description.tensors.map { name, shape in
                let drawn = random.normal(shape.reduce(1, *), scale: 0.1)
                let values = drawn.map { value(name) ?? Float($0) }
                return TensorSource(name: name, shape: shape) { body in try body(values.span.bytes) }
            }
        ) { piece in piece.withUnsafeBytes { bytes += $0 } }
        try Data(bytes).write(to: URL(fileURLWithPath: path + "/model.safetensors"))
        return path
    }

    private func configuration(_ run: String, _ precision: Precision) throws -> TrainingConfiguration {
        var configuration = try Curve.configuration(runDirectory: directory.file(run))
        configuration.initFrom = FilePath(try modelDirectory())
        (configuration.steps, configuration.warmupSteps) = (6, 2)
        configuration.precision = precision
        return configuration
    }

    @Test(arguments: Precision.allCases) func sameBitsOnRanksAndThroughAResume(precision: Precision) throws {
        let whole = try configuration("whole", precision)
        let reporter = RecordingReporter()
        try train(whole, ranks: 1, reporter: reporter)
        let said = ", inner 40, gelu, epsilon 0.001, own head, scores not scaled, scores scaled by layer"
        #expect(reporter.lines.contains { $0.hasPrefix("model: ") && $0.hasSuffix("vocabulary 64" + said) })
        let expected = try RunRecord(directory, runDirectory: directory.file("whole"), step: 6)
        var cut = try configuration("cut", precision)
        cut.stopAfter = 3
        #expect(try train(cut, ranks: 2) == .stopped)
        // Only the checkpoint knows how the attention is scaled.
        var rest = try configuration("cut", precision)
        rest.initFrom = nil
        try train(rest, ranks: 2)
        let record = try RunRecord(directory, runDirectory: directory.file("cut"), step: 6)
        for name in ["model.safetensors", "optimizer.safetensors"] {
            #expect(record.hashes[name] == expected.hashes[name], "\(name)")
        }
        let saved = try HuggingFaceModelFiles(path: FilePath(record.checkpoint))
        #expect(try saved.description.shape == Self.shape.get())
    }

    /// A hidden layer of `value` whose weights to the stream are zero, so that the loss does not see it: the gradient of
    /// these weights is as large.
    private func configuration(hidden value: Float) throws -> TrainingConfiguration {
        var shape = try Self.shape.get()
        (shape.activation, shape.normEpsilon) = (.relu, 1e-12)
        var configuration = try configuration("run", .fp32)
        let path = try modelDirectory(shape) { $0.hasSuffix("c_fc.bias") ? value : $0.contains("c_proj") ? 0 : nil }
        configuration.initFrom = FilePath(path)
        (configuration.gradClip, configuration.checkpointInterval) = (0, 1)
        return configuration
    }

    @Test(
        "M: what is not finite makes no update, or is not saved, whatever the loss is",
        arguments: [
            (Float(3e38), "step 1: the gradient norm is inf; no update was made"),
            (1e25, "step 1: the weights are not finite, first in transformer.h.0.mlp.c_proj.weight, and were not"),
        ])
    func notFinite(hidden: Float, message: String) throws {
        let configuration = try configuration(hidden: hidden)
        let error = try #require(throws: AgreedError.self) { try train(configuration, ranks: 2) }
        #expect(error.exitCode == 79 && error.description.contains(message), "\(error)")
    }

    /// What options say is what is made, kept, and gone on with.
    @Test func fromOptions() throws {
        var configuration = try configuration("options", .fp32)
        configuration.initFrom = nil
        for (name, value) in [
            ("layers", "2"), ("heads", "2"), ("embedding-size", "32"), ("context-length", "16"), ("vocab-size", "64"),
            ("activation", "relu"), ("inner-size", "40"), ("norm-epsilon", "0.001"), ("untied-head", "true"),
        ] { try configuration.set(name, value) }
        configuration.stopAfter = 3
        try train(configuration, ranks: 2)
        var rest = try self.configuration("options", .fp32)
        rest.initFrom = nil
        try train(rest, ranks: 1)
        let path = directory.file("options") + "/checkpoints/" + CheckpointName.directory(step: 6)
        let shape = try HuggingFaceModelFiles(path: FilePath(path)).description.shape
        var expected = try DecoderConfiguration(
            vocabularySize: 64, contextLength: 16, embeddingSize: 32, layerCount: 2, headCount: 2, innerSize: 40)
        (expected.activation, expected.normEpsilon, expected.hasTiedHead) = (.relu, 1e-3, false)
        #expect(shape == expected)
        try rest.set("activation", "gelu")
        let error = try #require(throws: AgreedError.self) { try train(rest, ranks: 1) }
        #expect(
            error.exitCode == .usage && error.description.contains("--activation is gelu, the checkpoint has relu"),
            "\(error)")
    }

    @Test(
        "An option that the model directory contradicts",
        arguments: [
            ("activation", "relu", "--activation relu contradicts gelu in"),
            ("inner-size", "41", "--inner-size 41 contradicts 40 in"),
            ("norm-epsilon", "0.01", "--norm-epsilon 0.01 contradicts 0.001 in"),
            ("untied-head", "false", "--untied-head false contradicts true in"),
        ])
    func contradictions(name: String, value: String, message: String) throws {
        var configuration = try configuration("other", .fp32)
        try configuration.set(name, value)
        let error = try #require(throws: AgreedError.self) { try train(configuration, ranks: 1) }
        #expect(error.exitCode == .usage && error.description.contains(message), "\(error)")
    }
}
