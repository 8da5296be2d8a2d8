import Collectives

/// Floats at a fixed address, for transfers.
package final class FixedFloats: ExchangeMemory, @unchecked Sendable {
    private let storage: UnsafeMutableBufferPointer<Float>

    package init(_ values: [Float]) {
        storage = .allocate(capacity: values.count)
        _ = storage.initialize(from: values)
    }

    deinit { storage.deallocate() }

    package var values: [Float] { Array(storage) }

    package func withMutableSpan<R, E: Error>(
        _ range: Range<Int>, _ body: (inout MutableSpan<Float>) throws(E) -> R
    ) throws(E) -> R {
        var span = UnsafeMutableBufferPointer(rebasing: storage[range]).mutableSpan
        return try body(&span)
    }
}

extension ExactAllReduce {
    /// One with scratch of its own, for this many ranges under way.
    package convenience init(
        _ memory: FixedFloats, maximumCount: Int, flights: Int = 1, on communicator: any Communicator
    ) {
        let count = Self.scratchCount(maximumCount: maximumCount, worldSize: communicator.worldSize)
        let scratch = (0..<flights).map { _ in FixedFloats([Float](repeating: 0, count: count)) }
        self.init(memory, maximumCount: maximumCount, scratch: scratch, on: communicator)
    }
}
