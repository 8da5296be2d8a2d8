// Runs under mpirun: checks every collective over real MPI, or measures them.
//
//     collectives-check --expect N [--chunk-limit ELEMENTS]   all checks; fails when the world has not N ranks
//     collectives-check --fail RANK CODE                      that rank throws while the others wait for it
//     collectives-check --diverge                             the highest rank has another configuration
//     collectives-check --length KIND                         ranks 0 and 1 disagree about a message's length
//     collectives-check --bench [MEGABYTES...]                times of the reductions
import Basics
import Collectives
import DataParallel
import Foundation
import Glibc
import MPICollectives
import TestSupport

/// An error that ends the job with a code of its own.
struct Stop: ExitCoded {
    let exitCode: ExitCode
    let description: String
}

@main
struct CollectivesCheck {
    static func main() {
        let communicator: MPICommunicator
        do {
            communicator = try MPICommunicator(environment: ProcessInfo.processInfo.environment)
        } catch {
            exit(report(error).rawValue)
        }
        do {
            try run(Array(CommandLine.arguments.dropFirst()), on: communicator)
            try communicator.shutdown()
        } catch let error as RankDisagreement {
            // Every rank has this error: one tells it, and all leave in good order.
            let code = communicator.rank == 0 ? report(error) : error.exitCode
            try? communicator.shutdown()
            exit(code.rawValue)
        } catch {
            communicator.abort(code: report(error))
        }
    }

    private static func run(_ arguments: [String], on communicator: MPICommunicator) throws {
        func number(after name: String, offset: Int = 1) -> Int? {
            guard let index = arguments.firstIndex(of: name), index + offset < arguments.count else { return nil }
            return Int(arguments[index + offset])
        }
        if let rank = number(after: "--fail"), let code = number(after: "--fail", offset: 2) {
            try failOnPurpose(rank: rank, code: ExitCode(integerLiteral: Int32(code)), on: communicator)
        } else if arguments.contains("--diverge") {
            try disagreeOnPurpose(on: communicator)
        } else if let index = arguments.firstIndex(of: "--length"), index + 1 < arguments.count {
            try disagreeAboutLength(arguments[index + 1], on: communicator)
        } else if let index = arguments.firstIndex(of: "--bench") {
            try bench(megabytes: arguments[(index + 1)...].compactMap(Double.init), on: communicator)
        } else if let expected = number(after: "--expect") {
            try checkAll(expected: expected, chunkLimit: number(after: "--chunk-limit"), on: communicator)
        } else {
            throw Stop(
                exitCode: 64, description: "say --expect N, --fail RANK CODE, --diverge, --length KIND or --bench")
        }
    }

    /// Prints the error in one line and returns its exit code.
    private static func report(_ error: any Error) -> ExitCode {
        let line = Array("collectives-check: \(error)\n".utf8)
        line.withUnsafeBytes { _ = write(2, $0.baseAddress, $0.count) }
        return exitCode(of: error)
    }
}
