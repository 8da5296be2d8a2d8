import ArgumentParser
import Basics
import Collectives
import Foundation
import MPICollectives
import Training
import Watchdog

/// How the process ends: one line on standard error, printed by one rank, and an exit code of docs/operations.md.
enum Exit {
    /// This process's rank as its launcher counts; 0 where there is none.
    static var launcherRank: Int {
        MPICommunicator.launcherRank(environment: ProcessInfo.processInfo.environment) ?? 0
    }

    /// An error found before MPI runs: every rank has it, rank 0 prints it.
    static func beforeMPI(_ error: any Error) -> Never {
        let rank = launcherRank
        let isOurs = error is any ExitCoded
        let code = isOurs ? exitCode(of: error).rawValue : Swiftlet.exitCode(for: error).rawValue
        if code == 0 {
            do {
                if rank == 0 { try StandardStreams.print(Swiftlet.fullMessage(for: error)) }
            } catch {
                beforeMPI(error)
            }
            exit(code)
        }
        // The command has said what there is to say.
        if error is ArgumentParser.ExitCode { exit(code) }
        var line = "\(error)"
        if !isOurs {
            line = oneLine(Swiftlet.message(for: error)) + "; --help lists the options"
        }
        if rank > 0 {
            // mpirun ends the other ranks when the first one fails; rank 0 must be that one, or its line is lost. If
            // nobody has ended this rank by then, the mistake is its own.
            Thread.sleep(forTimeInterval: 5)
            line = "rank \(rank): " + line
        }
        writeError(line)
        exit(code)
    }

    /// The parser's text without line breaks: a list of values gets commas.
    private static func oneLine(_ text: String) -> String {
        var line = ""
        for part in text.split(separator: "\n").map({ $0.trimmingCharacters(in: .whitespaces) }) {
            let isItem = part.hasPrefix("- ")
            if !line.isEmpty { line += line.hasSuffix(":") ? " " : isItem ? ", " : "; " }
            line += isItem ? String(part.dropFirst(2)) : part
        }
        return line.hasSuffix(".") ? String(line.dropLast()) : line
    }

    /// An error of a rank that has a communicator.
    static func after(_ error: any Error, on communicator: any Communicator) -> Never {
        Activity.enter(.end)
        if let agreed = error as? AgreedError {
            // All ranks are here: one speaks, all leave in good order.
            if communicator.rank == agreed.speaker { writeError(agreed.description) }
            try? shutdown(communicator)
            exit(agreed.exitCode.rawValue)
        }
        let code = exitCode(of: error)
        let isAlone = communicator.worldSize == 1
        writeError(isAlone ? "\(error)" : "rank \(communicator.rank) on \(communicator.hostName): \(error)")
        if !isAlone { communicator.abort(code: code) }
        exit(code.rawValue)
    }

    /// Ends MPI where it runs.
    static func shutdown(_ communicator: any Communicator) throws {
        if let mpi = communicator as? MPICommunicator { try mpi.shutdown() }
    }

    /// One line on standard error.
    static func writeError(_ text: String) { StandardStreams.say("swiftlet: error: \(text)") }
}

extension ParsableCommand {
    /// Runs `body` with the communicator that fits how the process was started, under a watchdog, and ends the process
    /// if it throws.
    /// - Parameter stepTimeout: seconds without progress in a step; 0: no limits.
    func withCommunicator(stepTimeout: Int = 60, _ body: (any Communicator) throws -> Void) throws {
        let environment = ProcessInfo.processInfo.environment
        if let lonely = MPICommunicator.lonelyTasks(environment: environment) {
            // One of them speaks.
            if Exit.launcherRank == 0 { throw lonely }
            throw ArgumentParser.ExitCode(lonely.exitCode.rawValue)
        }
        let isLaunched = MPICommunicator.isLaunchedByMPI(environment: environment)
        let watchdog = Watchdog(
            rank: Exit.launcherRank, ranks: MPICommunicator.launcherWorldSize(environment: environment) ?? 1,
            stepTimeout: Double(stepTimeout), hasLauncher: isLaunched)
        let communicator: any Communicator =
            isLaunched
            ? try StopRequest.holdingBack { try MPICommunicator(environment: environment) } : SingleProcess()
        do {
            Activity.enter(.setup)
            try watchdog.join(communicator)
            try body(communicator)
        } catch {
            Exit.after(error, on: communicator)
        }
        Activity.enter(.end)
        try Exit.shutdown(communicator)
        watchdog.stop()
    }
}
