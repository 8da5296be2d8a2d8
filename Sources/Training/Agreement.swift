import Collectives
import DataParallel

/// An error that all ranks know of: one of them says it, and all leave in good order with its exit code.
public struct AgreedError: Error, CustomStringConvertible, Sendable, Equatable {
    /// The line to print.
    public let description: String
    /// The exit code of every rank.
    public let exitCode: Int32
    /// The rank that prints it.
    public let speaker: Int

    package init(description: String, exitCode: Int32, speaker: Int) {
        self.description = description
        self.exitCode = exitCode
        self.speaker = speaker
    }
}

/// What an error says when a process ends because of it.
public func exitCode(of error: any Error) -> Int32 {
    switch error {
    case let error as AgreedError: error.exitCode
    case let error as any ExitCoded: error.exitCode
    case let error as CollectiveError: error.exitCode
    default: 70
    }
}

/// An error that knows its exit code.
public protocol ExitCoded: Error {
    /// As docs/operations.md lists them.
    var exitCode: Int32 { get }
}

extension Communicator {
    /// Runs `body` on every rank; if it throws on any, all ranks throw the same `AgreedError`.
    ///
    /// `body` must not use the communicator. The lowest rank that failed tells its error, and which ranks failed if
    /// not all did.
    package func agreeing<Value>(_ body: () throws -> Value) throws -> Value {
        let result = Result { try body() }
        guard worldSize > 1 else { return try agreedAlone(result) }
        var failures = [Int64](repeating: 0, count: worldSize)
        if case .failure(let error) = result { failures[rank] = Int64(exitCode(of: error)) }
        var span = failures.mutableSpan
        try allReduce(&span, .maximum)
        guard let speaker = failures.firstIndex(where: { $0 != 0 }) else { return try result.get() }
        var text = ""
        if case .failure(let error) = result { text = "\(error)" }
        let told = try broadcast(message: text, root: speaker)
        let failed = failures.indices.filter { failures[$0] != 0 }
        let onRanks = failed.count == worldSize ? "" : " (on rank \(failed.map(String.init).joined(separator: ", ")))"
        throw AgreedError(description: told + onRanks, exitCode: Int32(failures[speaker]), speaker: speaker)
    }

    private func agreedAlone<Value>(_ result: Result<Value, any Error>) throws -> Value {
        do {
            return try result.get()
        } catch {
            throw AgreedError(description: "\(error)", exitCode: exitCode(of: error), speaker: 0)
        }
    }

    /// Rank 0 makes bytes, every rank gets them; an error of rank 0's is everyone's.
    package func fromRankZero(_ body: () throws -> [UInt8]) throws -> [UInt8] {
        let bytes = try agreeing { rank == 0 ? try body() : [] }
        return try broadcast(message: bytes)
    }
}
