import Glibc

/// Where a training step spends its time. `swiftlet bench` adds these up, `train --trace` draws them.
public enum Phase: UInt8, CaseIterable, Sendable {
    case data, embedding, norm, activation, biasGradient
    case attentionForward, attentionBackward
    case queryKeyValueForward, queryKeyValueInputGradient, queryKeyValueWeightGradient
    case attentionProjectionForward, attentionProjectionInputGradient, attentionProjectionWeightGradient
    case expansionForward, expansionInputGradient, expansionWeightGradient
    case contractionForward, contractionInputGradient, contractionWeightGradient
    case headForward, headInputGradient, headWeightGradient
    case crossEntropy
    case combination, reduction, waiting, gradientNorm, optimizer
    case evaluation, checkpoint
}

/// A recording of what one rank did when. Recording costs two clock readings an event and no allocation.
public final class Timeline: @unchecked Sendable {
    /// One piece of work.
    public struct Event: Sendable {
        /// What was done.
        public var phase: Phase
        /// In which layer, from 0; −1 outside the layers.
        public var layer: Int
        /// Start and end in nanoseconds of the monotonic clock.
        public var start: UInt64
        /// See `start`.
        public var end: UInt64
    }

    /// What was recorded, in order.
    public private(set) var events: [Event] = []

    /// Room for this many events; later ones are dropped.
    public init(capacity: Int = 1 << 16) { events.reserveCapacity(capacity) }

    /// Forgets all events and keeps their memory.
    public func removeAll() { events.removeAll(keepingCapacity: true) }

    /// Adds an event that ends now.
    public func record(_ phase: Phase, layer: Int = -1, since start: UInt64) {
        guard events.count < events.capacity else { return }
        events.append(Event(phase: phase, layer: layer, start: start, end: Timeline.now()))
    }

    /// Nanoseconds of the monotonic clock.
    public static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
