import Basics
import Collectives
import Glibc
import Kernels

/// `starts.jsonl`: a line for each start of a run that made a step, and one for each end that could still be said. What
/// was killed has a start alone.
///
/// It is about when and where a run was computed, not about its numbers, so nothing of it is needed for a resume, and a
/// line that cannot be written is nobody's failure.
final class StartsLog {
    private let path: FilePath
    private let fileSystem: any FileSystem
    /// What is known of this start beside its time and step.
    private let place: [(String, JSONText)]
    private var hasBegun = false

    /// - Parameter hosts: the names of the ranks' hosts, each once.
    init(
        path: FilePath, configuration: TrainingConfiguration, hosts: [String], communicator: any Communicator,
        fileSystem: any FileSystem
    ) {
        self.path = path
        self.fileSystem = fileSystem
        place = [
            ("ranks", .number(communicator.worldSize)), ("threads", .number(configuration.threads ?? 1)),
            ("precision", .string(configuration.precision?.rawValue ?? "")),
            ("version", .string(swiftletVersion)), ("mpi", .string(communicator.implementation)),
            ("host", .string(hosts.joined(separator: " "))),
            ("cpu", .string(Machine().processorName ?? "")),
            ("command", .string(Self.commandLine)),
        ]
    }

    /// A step is about to be made after `step` others. Written once.
    func begin(after step: Int) {
        guard !hasBegun else { return }
        hasBegun = true
        append([("time", .string(currentTimestamp())), ("step", .number(step))] + place)
    }

    /// The run is over for now; where no step was made, nothing is said.
    func end(_ outcome: String, at step: Int, because reason: String? = nil) {
        guard hasBegun else { return }
        var members: [(String, JSONText)] = [
            ("time", .string(currentTimestamp())), ("step", .number(step)), ("outcome", .string(outcome)),
        ]
        if let reason { members.append(("reason", .string(reason))) }
        append(members)
    }

    private func append(_ members: [(String, JSONText)]) {
        let old = (try? InputFile.contents(ifPresent: path, fileSystem: fileSystem)) ?? []
        // What a full disk or a power cut left of a line stays on a line of its own.
        let start = old.last.map { $0 != 0x0A } ?? false ? "\n" : ""
        let line = Array((start + JSONText.object(members).text + "\n").utf8)
        try? OutputFile(appendingTo: path, fileSystem: fileSystem).append(line.span.bytes)
    }

    /// The command line, with quotes where a shell needs them.
    private static var commandLine: String {
        (["swiftlet"] + CommandLineText.arguments()).map { word in
            let isPlain = word.utf8.allSatisfy { byte in
                switch Unicode.Scalar(byte) {
                case "0"..."9", "A"..."Z", "a"..."z", "-", "_", ".", "/", "=", ",", ":", "+", "@", "%": true
                default: false
                }
            }
            if isPlain, !word.isEmpty { return word }
            return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
        }.joined(separator: " ")
    }
}
