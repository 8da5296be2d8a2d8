import Basics
import Checkpointing
import Collectives
import Foundation
import Synchronization
import TestSupport
import Testing
import Training

/// A directory that goes away with its owner.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "swiftlet-training-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }
}

/// Keeps what a run says.
final class RecordingReporter: Reporter, Sendable {
    private let said = Mutex<(lines: [String], warnings: [String])>(([], []))

    var lines: [String] { said.withLock { $0.lines } }
    var warnings: [String] { said.withLock { $0.warnings } }
    func line(_ text: String) { said.withLock { $0.lines.append(text) } }
    func warning(_ text: String) { said.withLock { $0.warnings.append(text) } }
}

/// The 50 steps that PyTorch computed (Tests/Reference/README.md), as a configuration.
enum Curve {
    static let steps = 50
    static let base = 3e-3
    static let directory = Golden.path(of: "gpt2-curve")
    static let tokens = Golden.path(of: "gpt2-curve-tokens.bin")

    static func configuration(runDirectory: String, microBatch: Int = 1) throws -> TrainingConfiguration {
        var configuration = TrainingConfiguration()
        configuration.trainData = FilePath(tokens)
        configuration.runDirectory = FilePath(runDirectory)
        configuration.initFrom = FilePath(directory)
        configuration.microBatch = microBatch
        configuration.globalBatch = 4
        configuration.steps = steps
        configuration.warmupSteps = 10
        configuration.learningRate = base
        configuration.precision = .fp32
        configuration.threads = 1
        configuration.shuffle = false
        configuration.evalInterval = 1_000_000
        configuration.checkpointInterval = 1_000_000
        try configuration.validate()
        return configuration
    }
}

/// What a run left behind.
struct RunRecord: Sendable {
    /// The fields of each line of metrics.jsonl, as they stand in the file.
    let metrics: [[String: String]]
    /// SHA-256 of each file of the last checkpoint, `manifest.json` excepted.
    let hashes: [String: String]
    let checkpoint: String
    /// Keeps the files.
    private let directory: TemporaryDirectory

    init(_ directory: TemporaryDirectory, runDirectory: String, step: Int) throws {
        self.directory = directory
        metrics = try metricsFields(runDirectory)
        checkpoint = runDirectory + "/checkpoints/" + CheckpointName.directory(step: step)
        var hashes: [String: String] = [:]
        for name in ["model.safetensors", "optimizer.safetensors", "trainer_state.json"] {
            hashes[name] = try SHA256.hash(Array(Data(contentsOf: URL(fileURLWithPath: checkpoint + "/" + name))))
        }
        self.hashes = hashes
    }

    func texts(_ name: String) -> [String?] { metrics.map { $0[name] } }
    func numbers(_ name: String) throws -> [Double] { try texts(name).map { try #require(Double($0 ?? "none")) } }
}

/// The lines of metrics.jsonl as names with the text of their values: equal texts are equal digits.
func metricsFields(_ runDirectory: String) throws -> [[String: String]] {
    let text = try String(contentsOfFile: runDirectory + "/metrics.jsonl", encoding: .utf8)
    return text.split(separator: "\n").map { line in
        var fields: [String: String] = [:]
        for field in line.dropFirst().dropLast().split(separator: ",") {
            let parts = field.split(separator: ":", maxSplits: 1)
            fields[parts[0].filter { $0 != "\"" }] = String(parts[1])
        }
        return fields
    }
}

/// Trains to the end on `ranks` ranks of this process.
@discardableResult
func train(_ configuration: TrainingConfiguration, ranks: Int, reporter: RecordingReporter = RecordingReporter()) throws
    -> Trainer.Outcome
{
    guard ranks > 1 else {
        return try Trainer(configuration, communicator: SingleProcess(), reporter: reporter).run()
    }
    return try ThreadWorld.run(worldSize: ranks) { communicator in
        let voice: any Reporter = communicator.rank == 0 ? reporter : SilentReporter()
        return try Trainer(configuration, communicator: communicator, reporter: voice).run()
    }[0]
}
