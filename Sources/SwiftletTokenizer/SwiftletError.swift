internal import Basics

/// What went wrong, in one line: what happened, which value, what was expected, what to do.
///
/// Every function of `SwiftletTokenizer` and `SwiftletTraining` that throws, throws this.
public struct SwiftletError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The line.
    public let description: String
    /// What the `swiftlet` program ends with: 64 for an option or value, 65 for an input that is not what it should be, 66
    /// for one that is missing, 73 and 74 for an output, 70 for a mistake of the library's. The table of
    /// docs/distributed.md has them all.
    public let exitCode: Int32
    /// Whether every rank of a run throws this same error. Where it is false and there are several ranks, the others
    /// wait: end the job.
    public let isShared: Bool

    /// - Parameters:
    ///   - description: one line.
    ///   - exitCode: what a program that gives up for it ends with.
    ///   - isShared: whether all ranks have it.
    public init(_ description: String, exitCode: Int32 = 64, isShared: Bool = false) {
        self.description = description
        self.exitCode = exitCode
        self.isShared = isShared
    }
}

/// Runs `body` and gives its errors the library's type; those that have it stay what they are.
package func translated<Value>(_ body: () throws -> Value) throws(SwiftletError) -> Value {
    try translated(isShared: { _ in false }, body)
}

/// The same, where some errors are known to all ranks.
package func translated<Value>(
    isShared: (any Error) -> Bool, _ body: () throws -> Value
) throws(SwiftletError) -> Value {
    do {
        return try body()
    } catch let error as SwiftletError {
        throw error
    } catch {
        throw SwiftletError(
            "\(error)", exitCode: Basics.exitCode(of: error).rawValue, isShared: isShared(error))
    }
}
