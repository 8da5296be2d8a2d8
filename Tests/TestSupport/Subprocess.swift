import Foundation
import Glibc

/// Runs a program and collects what it prints. Both pipes are drained all the time, so a chatty program never blocks;
/// a program that exceeds its time is killed with everything that it started.
package final class Subprocess: @unchecked Sendable {
    /// What became of a program.
    package struct Outcome: Sendable, CustomStringConvertible {
        /// The exit code, or 128 + the signal that ended the program (as a shell says it).
        package let status: Int32
        /// Whether the program was killed because its time was over.
        package let timedOut: Bool
        /// All of standard output.
        package let standardOutput: String
        /// All of standard error.
        package let standardError: String

        /// For a failed expectation: everything at once.
        package var description: String {
            "status \(status)\(timedOut ? " (timed out)" : "")\n--- stdout\n\(standardOutput)\n--- stderr\n\(standardError)"
        }
    }

    /// A program that could not be run at all.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// The process id, for `descendants`.
    package let processIdentifier: Int32
    private let ended: Exit
    private let output: Drain
    private let errors: Drain

    /// Runs a program to its end.
    ///
    /// - Parameters:
    ///   - environment: added to this process's environment; an empty value removes the variable.
    ///   - timeout: seconds until the program is killed.
    /// - Throws: `Failure` when it cannot be started.
    package static func run(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
        workingDirectory: String? = nil, input: String? = nil, timeout: Double = 60
    ) throws -> Outcome {
        try Subprocess(
            executable, arguments, environment: environment, workingDirectory: workingDirectory, input: input
        ).wait(timeout: timeout)
    }

    /// Starts a program, as the leader of a process group of its own. Its standard input is `input`, or empty.
    ///
    /// Made of posix_spawn and not of Foundation's `Process`, which takes a program for running as long as anything that
    /// it has started lives.
    package init(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
        workingDirectory: String? = nil, input: String? = nil
    ) throws {
        guard FileManager.default.isExecutableFile(atPath: executable) else {
            throw Failure(description: "cannot run \(executable): it is not there, or not executable")
        }
        var variables = ProcessInfo.processInfo.environment
        for (name, value) in environment { variables[name] = value.isEmpty ? nil : value }

        var command = [executable] + arguments
        // posix_spawn's own way to change the directory is not in the portable part of the C library.
        if let workingDirectory { command = ["/usr/bin/env", "--chdir=\(workingDirectory)"] + command }

        // One start at a time: a program must not inherit the pipes of another one before they are marked.
        Self.startLock.lock()
        defer { Self.startLock.unlock() }
        let outputPipe = try Self.pipe()
        let errorPipe = try Self.pipe()
        let inputPipe = try Self.pipe()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, inputPipe.read, 0)
        posix_spawn_file_actions_adddup2(&actions, outputPipe.write, 1)
        posix_spawn_file_actions_adddup2(&actions, errorPipe.write, 2)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        let argumentStrings = command.map { strdup($0) } + [nil]
        let variableStrings = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in argumentStrings + variableStrings { free(text) } }
        var id: pid_t = 0
        let code = posix_spawn(&id, command[0], &actions, &attributes, argumentStrings, variableStrings)
        for descriptor in [inputPipe.read, outputPipe.write, errorPipe.write] { close(descriptor) }
        guard code == 0 else {
            for descriptor in [inputPipe.write, outputPipe.read, errorPipe.read] { close(descriptor) }
            throw Failure(description: "cannot run \(executable): \(String(cString: strerror(code)))")
        }

        processIdentifier = id
        ended = Exit(of: id)
        output = Drain(outputPipe.read)
        errors = Drain(errorPipe.read)
        Self.feed(Array((input ?? "").utf8), to: inputPipe.write)
    }

    private static let startLock = NSLock()

    /// Runs `body` while no program is being started. Who writes a program to run it must do so here: a child that has
    /// not come to its own program yet would hold the file open for writing, and nobody may run it then.
    package static func betweenStarts<Result>(_ body: () throws -> Result) rethrows -> Result {
        try startLock.withLock(body)
    }

    /// A pipe that the programs started later do not inherit.
    private static func pipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else {
            throw Failure(description: "cannot make a pipe: \(String(cString: strerror(errno)))")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func feed(_ bytes: [UInt8], to descriptor: Int32) {
        guard !bytes.isEmpty else {
            close(descriptor)
            return
        }
        Thread.detachNewThread {
            // A program that does not read its input must not end the tests: with the signal blocked in this thread,
            // the write returns an error instead.
            var signals = sigset_t()
            sigemptyset(&signals)
            sigaddset(&signals, SIGPIPE)
            pthread_sigmask(SIG_BLOCK, &signals, nil)
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
                if count < 0 && errno != EINTR { break }
                rest = rest.dropFirst(max(0, count))
            }
            close(descriptor)
        }
    }

    /// What the program has printed up to now.
    package var standardOutputSoFar: String { output.text }
    /// What the program has printed to standard error up to now.
    package var standardErrorSoFar: String { errors.text }
    /// Whether the program has not ended yet.
    package var isRunning: Bool { !ended.wait(seconds: 0) }

    /// Sends a signal to the program, unless it has ended.
    package func signal(_ number: Int32) {
        if isRunning { kill(processIdentifier, number) }
    }

    /// Waits until standard output contains `text`; false when the program ends or the time is over before.
    package func waitForOutput(_ text: String, timeout: Double) -> Bool {
        let deadline = Date(timeIntervalSinceNow: timeout)
        while !output.text.contains(text) {
            guard Date() < deadline, isRunning || !output.isFinished else { return output.text.contains(text) }
            Thread.sleep(forTimeInterval: 0.01)
        }
        return true
    }

    /// Waits for the end of the program; when `timeout` seconds are over, kills it and all that it started.
    /// - Parameter grace: seconds between the request to end (SIGTERM) and the kill.
    package func wait(timeout: Double = 60, grace: Double = 8) -> Outcome {
        let timedOut = !ended.wait(seconds: timeout)
        if timedOut { end(grace: grace) }
        // A survivor may hold the pipes open: do not wait for it for ever.
        output.finish(within: 5)
        errors.finish(within: 5)
        return Outcome(
            status: ended.status, timedOut: timedOut, standardOutput: output.text, standardError: errors.text)
    }

    /// Kills the program and all that it started; a launcher first gets the chance to take its ranks with it.
    private func end(grace: Double) {
        var family = Set(Self.descendants(of: processIdentifier))
        signal(SIGTERM)
        if !ended.wait(seconds: grace) {
            family.formUnion(Self.descendants(of: processIdentifier))
            kill(-processIdentifier, SIGKILL)
            _ = ended.wait(seconds: .infinity)
        }
        for member in family where Self.isAlive(member) { kill(member, SIGKILL) }
    }

    /// The processes that this one started, and those that they started.
    package static func descendants(of parent: Int32) -> [Int32] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        var children: [Int32: [Int32]] = [:]
        for id in entries.compactMap(Int32.init) {
            guard let fields = state(of: id), fields.count > 1, let owner = Int32(fields[1]) else { continue }
            children[owner, default: []].append(id)
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
    package static func isAlive(_ id: Int32) -> Bool { state(of: id)?.first.map { $0 != "Z" } ?? false }

    /// What the kernel says of a process from its state on: `state ppid …`; nil where there is none.
    static func state(of id: Int32) -> [Substring]? {
        // `pid (name) state ppid …`; the name may hold spaces and brackets.
        guard let line = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8),
            let close = line.lastIndex(of: ")")
        else { return nil }
        return line[line.index(after: close)...].dropFirst().split(separator: " ")
    }
}

/// Waits for the end of one process on a thread of its own.
private final class Exit: @unchecked Sendable {
    private let condition = NSCondition()
    private var result: Int32?

    init(of id: Int32) {
        Thread.detachNewThread { [self] in
            var status: Int32 = 0
            while waitpid(id, &status, 0) < 0 && errno == EINTR {}
            // What the macros WIFSIGNALED and so on take apart.
            let signal = status & 0x7F
            condition.withLock {
                result = signal == 0 ? (status >> 8) & 0xFF : 128 + signal
                condition.broadcast()
            }
        }
    }

    /// The exit code, or 128 + the signal; -1 as long as the process runs.
    var status: Int32 { condition.withLock { result ?? -1 } }

    /// Whether the process ends within this time.
    func wait(seconds: Double) -> Bool {
        // A date that is too far away makes NSCondition trap.
        let deadline = Date(timeIntervalSinceNow: min(seconds, 1e6))
        return condition.withLock {
            while result == nil, condition.wait(until: deadline) {}
            return result != nil
        }
    }
}

/// Reads one pipe to its end on a thread of its own.
private final class Drain: @unchecked Sendable {
    private let condition = NSCondition()
    private var data = Data()
    private var ended = false

    init(_ descriptor: Int32) {
        Thread.detachNewThread { [self] in
            var piece = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let count = piece.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
                if count < 0 && errno == EINTR { continue }
                condition.withLock {
                    data.append(contentsOf: piece.prefix(max(0, count)))
                    ended = count <= 0
                    condition.broadcast()
                }
                if count <= 0 { break }
            }
            close(descriptor)
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
