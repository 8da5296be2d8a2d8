import Basics
import Checkpointing
import Foundation
import TestSupport
import Testing

/// The real executable, on one process and under the real mpirun. One test at a time: each has several ranks.
@Suite(.serialized) struct EndToEnd {}

/// What goes wrong with it: limits, stops, hangs. These mostly wait, so they run beside the others.
@Suite(.serialized) struct EndToEndFaults {}

/// Mistakes, which end a run before it begins: several at once.
@Suite struct EndToEndMistakes {}

/// A directory with a small corpus of the executable's own making; it goes away with its owner.
final class Workspace: Sendable {
    let path: String
    let executable: String

    init() throws {
        path = NSTemporaryDirectory() + "swiftlet-e2e-" + UUID().uuidString
        executable = try BuildProducts.executable("swiftlet")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: try Self.corpus.get(), toPath: data)
    }

    /// Without the shared corpus, which is made with this one.
    private init(empty path: String) throws {
        self.path = path
        executable = try BuildProducts.executable("swiftlet")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Tokenizer and shards.
    var data: String { path + "/data" }

    func file(_ name: String) -> String { path + "/" + name }

    @discardableResult
    func write(_ name: String, _ contents: some Sequence<UInt8>) throws -> String {
        let url = URL(fileURLWithPath: file(name))
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(contents).write(to: url)
        return url.path
    }

    /// Some 200 KB of text with a grammar that a model learns in a few steps.
    static let text: String = {
        let words = ["let", "var", "func", "return", "value", "index", "count", "self", "print", "if", "else", "for"]
        var state: UInt64 = 7
        var lines: [String] = []
        for _ in 0..<5000 {
            var line: [String] = []
            for _ in 0..<8 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                line.append(words[Int(state >> 33) % words.count])
            }
            lines.append(line.joined(separator: " "))
        }
        return lines.joined(separator: "\n") + "\n"
    }()

    private static let shared = Result {
        try Workspace(empty: NSTemporaryDirectory() + "swiftlet-e2e-" + UUID().uuidString)
    }

    /// The corpus that every test copies, tokenized once.
    private static let corpus: Result<String, any Error> = Result {
        let home = try shared.get()
        let text = try home.write("text/all.txt", Workspace.text.utf8)
        let outcome = try home.run(["tokenize", "--input", text, "--output", home.data, "--vocab-size", "300"])
        guard outcome.status == 0 else { throw CorpusFailure(description: "\(outcome)") }
        atexit { try? FileManager.default.removeItem(atPath: (try? Workspace.shared.get().path) ?? "") }
        return home.data
    }

    /// Runs the executable, under mpirun if there are several ranks.
    func run(_ arguments: [String], ranks: Int = 1, timeout: Double = 120) throws -> Subprocess.Outcome {
        // mpirun gives ranks a second to end after the first one has failed; these all know that they end.
        try start(arguments, ranks: ranks, launcherArguments: ["--mca", "odls_base_sigkill_timeout", "0"]).wait(
            timeout: timeout)
    }

    func start(_ arguments: [String], ranks: Int = 1, launcherArguments: [String] = []) throws -> Subprocess {
        ranks == 1
            ? try Subprocess(executable, arguments, workingDirectory: path)
            : try Subprocess.startMPI(
                ranks: ranks, executable: executable, arguments: arguments, launcherArguments: launcherArguments,
                workingDirectory: path)
    }

    /// A run of 20 steps of a model with 36,096 weights; later options win over these.
    func trainArguments(_ run: String, _ more: [String] = []) -> [String] {
        var options: [(String, String)] = [
            ("--train-data", data + "/train_*.bin"), ("--val-data", data + "/val_*.bin"), ("--run-dir", file(run)),
            ("--layers", "2"), ("--heads", "2"), ("--embedding-size", "32"), ("--context-length", "32"),
            ("--micro-batch", "2"), ("--global-batch", "8"), ("--steps", "20"), ("--warmup-steps", "4"),
            ("--learning-rate", "0.001"), ("--threads", "1"), ("--log-interval", "5"), ("--eval-interval", "5"),
            ("--eval-sequences", "6"), ("--checkpoint-interval", "5"), ("--precision", "fp32"),
        ]
        var flags: [String] = []
        var rest = more[...]
        while let name = rest.popFirst() {
            guard let value = rest.first, !value.hasPrefix("--") else {
                flags.append(name)
                continue
            }
            rest.removeFirst()
            options.removeAll { $0.0 == name }
            // An empty value takes the option away.
            if !value.isEmpty { options.append((name, value)) }
        }
        return ["train"] + options.flatMap { [$0.0, $0.1] } + flags
    }

    func train(_ run: String, _ more: [String] = [], ranks: Int = 1) throws -> Subprocess.Outcome {
        try self.run(trainArguments(run, more), ranks: ranks)
    }

    func checkpoint(_ run: String, _ step: Int) -> String {
        file(run) + "/checkpoints/" + CheckpointName.directory(step: step)
    }
}

/// The corpus of the tests could not be made.
struct CorpusFailure: Error, CustomStringConvertible { let description: String }

/// What must be equal, digit by digit, whatever the number of ranks and however often the run was stopped.
struct RunRecord: Equatable {
    /// The fields of each line of metrics.jsonl that do not tell the time, as they stand in the file.
    let metrics: [[String: String]]
    /// SHA-256 by file of the last checkpoint.
    let hashes: [String: String]

    init(_ workspace: Workspace, _ run: String, step: Int) throws {
        let text = try String(contentsOfFile: workspace.file(run) + "/metrics.jsonl", encoding: .utf8)
        metrics = text.split(separator: "\n").map { line in
            var fields: [String: String] = [:]
            for field in line.dropFirst().dropLast().split(separator: ",") {
                let parts = field.split(separator: ":", maxSplits: 1)
                let name = parts[0].filter { $0 != "\"" }
                let isTime = ["tokens_per_second", "step_ms", "ceiling_share"].contains(name)
                if !isTime { fields[name] = String(parts[1]) }
            }
            return fields
        }
        var hashes: [String: String] = [:]
        let checkpoint = workspace.checkpoint(run, step)
        for name in try FileManager.default.contentsOfDirectory(atPath: checkpoint) {
            hashes[name] = try SHA256.hash(Array(Data(contentsOf: URL(fileURLWithPath: checkpoint + "/" + name))))
        }
        self.hashes = hashes
    }

    /// The values of one field.
    func texts(_ name: String) -> [String?] { metrics.map { $0[name] } }

    /// Says what differs instead of printing both.
    func expectSame(as other: RunRecord, _ comment: Comment, location: SourceLocation = #_sourceLocation) {
        for name in ["step", "epoch", "lr", "train_loss", "grad_norm", "tokens", "val_loss", "val_ppl"] {
            #expect(texts(name) == other.texts(name), comment, sourceLocation: location)
        }
        #expect(hashes == other.hashes, comment, sourceLocation: location)
    }
}

extension Subprocess.Outcome {
    /// The errors that the executable printed, without those of mpirun.
    var errorLines: [Substring] { standardError.split(separator: "\n").filter { $0.contains("swiftlet: error:") } }
    var warningLines: [Substring] { standardError.split(separator: "\n").filter { $0.contains("swiftlet: warning:") } }
    var lines: [Substring] { standardOutput.split(separator: "\n") }
}

extension Workspace {
    /// Every file below a directory with its contents, the lock excepted; empty when there is none.
    func tree(_ name: String) throws -> [String: Data] {
        var found: [String: Data] = [:]
        let root = file(name)
        for path in try FileManager.default.subpathsOfDirectory(atPath: root) where !path.hasSuffix(".lock") {
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: root + "/" + path, isDirectory: &isDirectory) else { continue }
            found[path] = isDirectory.boolValue ? Data() : try Data(contentsOf: URL(fileURLWithPath: root + "/" + path))
        }
        return found
    }
}
