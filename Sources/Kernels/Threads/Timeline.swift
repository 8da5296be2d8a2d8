import Glibc

/// What a training step does. `StepPart` says how each piece of work is shown.
package enum Phase: Hashable, Sendable {
    // What holds pieces of work.
    case step, forward, head, backward, update, layer
    // Pieces of work.
    case data, embedding, norm, headPlacement, activation, biasGradient, attentionForward, attentionBackward
    case dropout, crossEntropy
    case reduction, waiting, gradientNorm, optimizer, orthogonalization, matrixExchange
    case product(MatrixProduct, Direction)
    /// A part of a reduction.
    case bucket

    /// Which of a product's three a matrix product is: y = x · w, dx = dy · wᵀ or dw = xᵀ · dy.
    package enum Direction: CaseIterable, Sendable { case forward, inputGradient, weightGradient }
}

/// The linear layers of a model; those that share an input are one.
package enum MatrixProduct: String, CaseIterable, Sendable {
    case queryKeyValue = "qkv"
    case attentionProjection = "attention out"
    case expansion = "mlp in"
    case contraction = "mlp out"
    case head = "head"
}

/// A recording of what one rank did when. Recording costs two clock readings an event and no allocation.
package final class Timeline: @unchecked Sendable {
    /// One piece of work.
    package struct Event: Sendable {
        /// What was done.
        package var phase: Phase
        /// The layer from 0, the bucket, the step from 1; −1 where none of these is meant.
        package var index: Int
        /// Start and end in nanoseconds of the monotonic clock.
        package var start: UInt64
        /// See `start`.
        package var end: UInt64

        package init(phase: Phase, index: Int = -1, start: UInt64, end: UInt64) {
            self.phase = phase
            self.index = index
            self.start = start
            self.end = end
        }
    }

    /// What was recorded, in order.
    package private(set) var events: [Event] = []

    /// Room for this many events; later ones are dropped.
    package init(capacity: Int = 1 << 16) { events.reserveCapacity(capacity) }

    /// Forgets all events and keeps their memory.
    package func removeAll() { events.removeAll(keepingCapacity: true) }

    /// Adds an event that ends now.
    package func record(_ phase: Phase, index: Int = -1, since start: UInt64) {
        guard events.count < events.capacity else { return }
        events.append(Event(phase: phase, index: index, start: start, end: Timeline.now()))
    }

    /// Nanoseconds of the monotonic clock.
    package static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

extension Timeline? {
    /// Runs a piece of a step, on the record if there is one.
    @inline(__always)
    package func timed<R>(_ phase: Phase, index: Int = -1, _ body: () throws -> R) rethrows -> R {
        guard let self else { return try body() }
        let start = Timeline.now()
        defer { self.record(phase, index: index, since: start) }
        return try body()
    }
}
