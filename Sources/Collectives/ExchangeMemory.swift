/// Floats that stay where they are as long as the object lives, so that a transport can read and write them while their
/// owner goes on.
package protocol ExchangeMemory: AnyObject, Sendable {
    /// Lends the elements of a range to read and write. The same elements are at the same address at every call.
    func withMutableSpan<R, E: Error>(
        _ range: Range<Int>, _ body: (inout MutableSpan<Float>) throws(E) -> R
    ) throws(E) -> R
}

/// A message under way, from `startSend` or `startReceive` to `finish`.
package struct Transfer: Sendable, Equatable {
    /// The communicator's own number for it.
    package let id: Int

    /// - Parameter id: unique among the communicator's transfers under way.
    package init(id: Int) { self.id = id }
}
