import Basics
import Checkpointing
import Glibc
import Optimization
import Testing
import Transformer

/// A directory of its own for one test, removed with everything in it.
final class TemporaryDirectory {
    let path: FilePath

    init() throws {
        var template = Array("/tmp/swiftlet-checkpointing-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = FilePath(platformString: template)
    }

    deinit { Self.remove(path) }

    static func remove(_ path: FilePath) {
        let files = LocalFileSystem()
        if (try? files.status(path, followLinks: false).kind) == .directory {
            for name in (try? files.names(in: path)) ?? [] { remove(path.appending(name)) }
            try? files.removeDirectory(path)
        } else {
            try? files.removeFile(path)
        }
    }
}

extension FilePath {
    /// The path of something below.
    static func + (path: FilePath, rest: String) -> FilePath { path.appending(rest) }
}

func writeFile(_ path: FilePath, _ bytes: [UInt8]) throws {
    let descriptor = open(path.string, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(write(descriptor, bytes, bytes.count) == bytes.count)
}

func readFile(_ path: FilePath) throws -> [UInt8] { try InputFile(path).contents(limit: 1 << 30) }

/// A whole checkpoint of a few hundred bytes, different at every step.
enum Sample {
    static let description = modelDescription(5, 4, 2, 1, 1)

    /// - Parameter isWhole: with the blocks, as a model to be read has them; most tests are about bytes alone.
    static func tensors(_ prefix: String, _ value: Float, isWhole: Bool) -> [TensorSource] {
        description.tensors.filter { isWhole || !$0.name.contains(".h.") }.map { tensor in
            TensorSource(
                name: prefix + tensor.name, shape: tensor.shape,
                floats: Array(repeating: value, count: tensor.shape.reduce(1, *)))
        }
    }

    static func state(step: Int) throws -> TrainerState {
        let schedule = try LearningRateSchedule(base: 3e-4, warmupSteps: 2, totalSteps: 100)
        var state = TrainerState(scheduler: LearningRateScheduler(schedule: schedule, step: step).state)
        state.swiftletVersion = "0.1.0"
        state.step = step
        state.position = 16 * step
        state.tokensSeen = 64 * step
        state.seed = .max
        state.shuffle = true
        state.contextLength = 4
        state.globalBatch = 16
        state.microBatch = 8
        state.optimizer.gradientClip = 1
        state.optimizer.step = step
        state.precision = "fp32"
        state.reduction = "exact"
        state.threadsPerRank = 1
        state.worldSize = 2
        state.configuration = OptionList([("steps", "100"), ("layers", "0")])
        state.dataIdentity = ["0123456789abcdef"]
        state.lastValidationLoss = 5.25
        state.bestValidationLoss = 5.25
        state.bestValidationStep = step
        state.evaluationsSinceBest = 0
        return state
    }

    static func files(
        step: Int, value: Float? = nil, state: [UInt8]? = nil, isWhole: Bool = false
    ) throws -> [CheckpointFile] {
        let value = value ?? Float(step)
        return [
            CheckpointFile(name: "config.json", content: .bytes(description.configurationJSON())),
            CheckpointFile(name: "model.safetensors", content: .tensors(tensors("", value, isWhole: isWhole))),
            CheckpointFile(
                name: "optimizer.safetensors",
                content: .tensors(
                    tensors("exp_avg.", value / 2, isWhole: isWhole)
                        + tensors("exp_avg_sq.", value / 4, isWhole: isWhole))),
            CheckpointFile(name: "trainer_state.json", content: .bytes(try state ?? Self.state(step: step).json())),
            CheckpointFile(name: "tokenizer.json", content: .bytes(Array("{}".utf8))),
        ]
    }
}

extension CheckpointDirectory {
    @discardableResult
    func saveSample(step: Int, value: Float? = nil, isWhole: Bool = false) throws -> SavedCheckpoint {
        try save(step: step, files: Sample.files(step: step, value: value, isWhole: isWhole))
    }
}

/// The names in a directory, sorted.
func fileNames(in directory: FilePath) throws -> [String] {
    try LocalFileSystem().names(in: directory).map(\.string)
}

/// Vocabulary, context, width, layers, heads.
func modelDescription(
    _ vocabulary: Int, _ context: Int, _ width: Int, _ layers: Int, _ heads: Int
) -> ModelDescription {
    do {
        return ModelDescription(
            shape: try DecoderConfiguration(
                vocabularySize: vocabulary, contextLength: context, embeddingSize: width, layerCount: layers,
                headCount: heads))
    } catch {
        preconditionFailure("\(error)")
    }
}

/// The error that `body` throws, which has an exit code.
func thrown(_ body: () throws -> Any) throws -> any ExitCoded {
    do {
        _ = try body()
    } catch let error as any ExitCoded {
        return error
    }
    throw ExitError(.internalError, "nothing was thrown")
}

extension TensorSource {
    /// An fp32 tensor from an array.
    init(name: String, shape: [Int], floats: [Float]) {
        self.init(name: name, dataType: .f32, shape: shape) { body in try body(floats.span.bytes) }
    }
}
