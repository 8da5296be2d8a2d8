import Basics
import Collectives
import DataParallel

extension ExitError {
    static func usage(_ description: String) -> ExitError { ExitError(.usage, description) }
    static func badInput(_ description: String) -> ExitError { ExitError(.badInput, description) }
}

/// An error that all ranks know of: one of them says it, and all leave in good order with its exit code.
package struct AgreedError: ExitCoded, Equatable {
    /// The line to print.
    package let description: String
    /// The exit code of every rank.
    package let exitCode: ExitCode
    /// The rank that prints it.
    package let speaker: Int

    package init(description: String, exitCode: ExitCode, speaker: Int) {
        self.description = description
        self.exitCode = exitCode
        self.speaker = speaker
    }

    /// An error that every rank has found, said by rank 0.
    init(_ error: any Error) { self.init(description: "\(error)", exitCode: Basics.exitCode(of: error), speaker: 0) }
}

extension Communicator {
    /// Runs `body` on every rank; if it throws on any, all ranks throw the same `AgreedError`.
    ///
    /// `body` must not use the communicator. The lowest rank that failed tells its error, and which ranks failed if
    /// not all did.
    package func agreeing<Value>(_ body: () throws -> Value) throws -> Value {
        let result = Result { try body() }
        guard worldSize > 1 else { return try result.mapError(AgreedError.init).get() }
        var failures = [Int64](repeating: 0, count: worldSize)
        if case .failure(let error) = result { failures[rank] = Int64(exitCode(of: error).rawValue) }
        var span = failures.mutableSpan
        try allReduce(&span, .maximum)
        guard let speaker = failures.firstIndex(where: { $0 != 0 }) else { return try result.get() }
        var text = ""
        if case .failure(let error) = result { text = "\(error)" }
        let told = try broadcast(message: text, root: speaker)
        let failed = failures.indices.filter { failures[$0] != 0 }
        let onRanks = failed.count == worldSize ? "" : " (on rank \(failed.map(String.init).joined(separator: ", ")))"
        throw AgreedError(
            description: told + onRanks, exitCode: ExitCode(rawValue: Int32(failures[speaker])) ?? .internalError,
            speaker: speaker)
    }

    /// Checks that all ranks have the same values, as `RankAgreement.verifySameConfiguration`; a difference is one error of all.
    func agree(on values: [(name: String, value: String)]) throws {
        do {
            try RankAgreement.verifySameConfiguration(values, on: self)
        } catch let error as RankDisagreement {
            throw AgreedError(error)
        }
    }

    /// Rank 0 makes bytes, every rank gets them; an error of rank 0's is everyone's.
    package func fromRankZero(_ body: () throws -> [UInt8]) throws -> [UInt8] {
        let bytes = try agreeing { rank == 0 ? try body() : [] }
        return try broadcast(message: bytes)
    }
}
