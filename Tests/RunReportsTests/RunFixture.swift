import Basics
import Foundation
import RunReports

/// Run directories of a test's own making, which go away with their owner.
final class RunFixture {
    let root: String

    init() throws {
        root = NSTemporaryDirectory() + "swiftlet-reports-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    /// Writes a file below the root, with the folders above it.
    @discardableResult
    func write(_ name: String, _ text: String) throws -> FilePath {
        let url = URL(fileURLWithPath: root + "/" + name)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
        return FilePath(url.path)
    }

    /// A run of so many steps of 10 tokens and 500 ms.
    /// - Parameters:
    ///   - loss: of a step.
    ///   - validationInterval: steps from one evaluation to the next; its loss is the step's and 1 more.
    @discardableResult
    func run(
        _ name: String, steps: Int, validationInterval: Int = 10, loss: (Int) -> String = { "\(1 + 1 / Double($0))" }
    ) throws -> FilePath {
        let lines = (1...steps).map { step in
            let validation = step % validationInterval == 0 ? ",\"val_loss\":\(1 + Double(step)),\"val_ppl\":2.5" : ""
            return "{\"step\":\(step),\"epoch\":1,\"lr\":0.001,\"train_loss\":\(loss(step)),\"grad_norm\":0.5,"
                + "\"tokens\":\(10 * step),\"tokens_per_second\":20.0,\"step_ms\":500.0\(validation)}\n"
        }
        return try write(name + "/metrics.jsonl", lines.joined()).removingLastComponent()
    }

    func history(_ name: String, parts: Int = 2000, threads: Int = 2) throws -> MetricsHistory {
        try MetricsHistory(path: FilePath(root + "/" + name + "/metrics.jsonl"), parts: parts, threads: threads)
    }
}
