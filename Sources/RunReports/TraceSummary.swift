import Basics

/// Where the steps of a `--trace` file went: milliseconds of a step by piece of work, the mean over steps and ranks.
package struct TraceSummary: Sendable {
    /// Of a whole step.
    package let stepMilliseconds: Double
    /// The longest first.
    package let parts: [(name: String, milliseconds: Double)]

    /// Reads a trace that `train --trace` wrote.
    /// - Throws: 66 where it cannot be read, 65 where it is no such file or has no step.
    package init(path: FilePath, fileSystem: any FileSystem = LocalFileSystem()) throws {
        let bytes = try InputFile(path, fileSystem: fileSystem).contents(limit: 256 << 20)
        let events: [JSON]
        do {
            events = try JSON(bytes, sizeLimit: 256 << 20).elements ?? []
        } catch {
            throw ExitError(.badInput, "\(path.shown): \(error); expected a file that train --trace wrote")
        }
        var (steps, total) = (0, 0.0)
        var times: [String: Double] = [:]
        for event in events {
            guard let category = event["cat"]?.string, let duration = event["dur"]?.number,
                let name = event["name"]?.string
            else { continue }
            if category == "step" {
                steps += 1
                total += duration
            } else if category == "work" {
                times[name, default: 0] += duration
            }
        }
        guard steps > 0 else {
            throw ExitError(.badInput, "\(path.shown) has no step in it; expected a file that train --trace wrote")
        }
        stepMilliseconds = total / Double(steps) / 1000
        parts = times.map { (name: $0.key, milliseconds: $0.value / Double(steps) / 1000) }
            .sorted { ($1.milliseconds, $0.name) < ($0.milliseconds, $1.name) }
    }
}
