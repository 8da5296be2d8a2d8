import Foundation

/// Runs a program and collects what it prints. Both pipes are drained all the time, so a chatty program never blocks;
/// a program that exceeds its time is killed with everything that it started.
public final class Subprocess: @unchecked Sendable {
    /// What became of a program.
    public struct Outcome: Sendable, CustomStringConvertible {
        /// The exit code, or 128 + the signal that ended the program (as a shell says it).
        public let status: Int32
        /// Whether the program was killed because its time was over.
        public let timedOut: Bool
        /// All of standard output.
        public let standardOutput: String
        /// All of standard error.
        public let standardError: String

        /// For a failed expectation: everything at once.
        public var description: String {
            "status \(status)\(timedOut ? " (timed out)" : "")\n--- stdout\n\(standardOutput)\n--- stderr\n\(standardError)"
        }
    }

    /// A program that could not be run at all.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// The process id, for signals of other kinds and for `descendants`.
    public let processIdentifier: Int32
    private let process: Process
    private let ended = DispatchSemaphore(value: 0)
    private let output: Drain
    private let errors: Drain

    /// Runs a program to its end.
    ///
    /// - Parameters:
    ///   - environment: added to this process's environment; an empty value removes the variable.
    ///   - timeout: seconds until the program is killed.
    /// - Throws: `Failure` when it cannot be started.
    public static func run(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
        workingDirectory: String? = nil, input: String? = nil, timeout: Double = 60
    ) throws -> Outcome {
        try Subprocess(
            executable, arguments, environment: environment, workingDirectory: workingDirectory, input: input
        ).wait(timeout: timeout)
    }

    /// Starts a program. Its standard input is `input`, or empty.
    public init(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
        workingDirectory: String? = nil, input: String? = nil
    ) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments
        var variables = ProcessInfo.processInfo.environment
        for (name, value) in environment { variables[name] = value.isEmpty ? nil : value }
        process.environment = variables
        if let workingDirectory { process.currentDirectoryURL = URL(fileURLWithPath: workingDirectory) }
        let pipes = (output: Pipe(), errors: Pipe())
        process.standardOutput = pipes.output
        process.standardError = pipes.errors
        let source = input.map { _ in Pipe() }
        process.standardInput = source ?? FileHandle.nullDevice
        let ended = self.ended
        process.terminationHandler = { _ in ended.signal() }
        do {
            try process.run()
        } catch {
            throw Failure(description: "cannot run \(executable): \(error)")
        }
        self.process = process
        processIdentifier = process.processIdentifier
        output = Drain(pipes.output.fileHandleForReading)
        errors = Drain(pipes.errors.fileHandleForReading)
        if let source, let input {
            Thread.detachNewThread {
                try? source.fileHandleForWriting.write(contentsOf: Data(input.utf8))
                try? source.fileHandleForWriting.close()
            }
        }
    }

    /// What the program has printed up to now.
    public var standardOutputSoFar: String { output.text }
    /// What the program has printed to standard error up to now.
    public var standardErrorSoFar: String { errors.text }
    /// Whether the program has not ended yet.
    public var isRunning: Bool { process.isRunning }

    /// Sends a signal to the program.
    public func signal(_ number: Int32) {
        kill(processIdentifier, number)
    }

    /// Waits until standard output contains `text`; false when the program ends or the time is over before.
    public func waitForOutput(_ text: String, timeout: Double) -> Bool {
        let deadline = Date(timeIntervalSinceNow: timeout)
        while !output.text.contains(text) {
            guard Date() < deadline, isRunning || !output.isFinished else { return output.text.contains(text) }
            Thread.sleep(forTimeInterval: 0.01)
        }
        return true
    }

    /// Waits for the end of the program; when `timeout` seconds are over, kills it and all that it started.
    public func wait(timeout: Double = 60) -> Outcome {
        var timedOut = false
        if ended.wait(timeout: .now() + timeout) == .timedOut {
            timedOut = true
            // A launcher gets the chance to take its ranks with it.
            let family = Self.descendants(of: processIdentifier)
            signal(SIGTERM)
            if ended.wait(timeout: .now() + 8) == .timedOut {
                signal(SIGKILL)
                ended.wait()
            }
            for member in family { kill(member, SIGKILL) }
        }
        // A survivor may hold the pipes open: do not wait for it for ever.
        output.finish(within: 5)
        errors.finish(within: 5)
        let status =
            process.terminationReason == .uncaughtSignal ? 128 + process.terminationStatus : process.terminationStatus
        return Outcome(
            status: status, timedOut: timedOut, standardOutput: output.text, standardError: errors.text)
    }

    /// The processes that this one started, and those that they started.
    public static func descendants(of parent: Int32) -> [Int32] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        var children: [Int32: [Int32]] = [:]
        for id in entries.compactMap(Int32.init) {
            // `pid (name) state ppid …`; the name may hold spaces and brackets.
            guard let line = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8),
                let close = line.lastIndex(of: ")")
            else { continue }
            let fields = line[line.index(after: close)...].split(separator: " ")
            if fields.count > 1, let owner = Int32(fields[1]) { children[owner, default: []].append(id) }
        }
        var found: [Int32] = []
        var open = [parent]
        while let next = open.popLast() {
            let own = children[next] ?? []
            found += own
            open += own
        }
        return found
    }

    /// Whether a process with this id exists and is not a zombie.
    public static func isAlive(_ id: Int32) -> Bool {
        guard let line = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8),
            let close = line.lastIndex(of: ")")
        else { return false }
        return line[line.index(after: close)...].split(separator: " ").first != "Z"
    }
}

/// Reads one pipe to its end on a thread of its own.
private final class Drain: @unchecked Sendable {
    private let condition = NSCondition()
    private var data = Data()
    private var ended = false

    init(_ handle: FileHandle) {
        Thread.detachNewThread { [self] in
            while true {
                let piece = handle.availableData
                condition.withLock {
                    data.append(piece)
                    ended = piece.isEmpty
                    condition.broadcast()
                }
                if piece.isEmpty { return }
            }
        }
    }

    var text: String { condition.withLock { String(decoding: data, as: UTF8.self) } }
    var isFinished: Bool { condition.withLock { ended } }

    func finish(within seconds: Double) {
        let deadline = Date(timeIntervalSinceNow: seconds)
        condition.withLock {
            while !ended, condition.wait(until: deadline) {}
        }
    }
}
