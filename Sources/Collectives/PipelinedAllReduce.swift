import Basics

/// `ExactAllReduce`'s sums, with the same bits, of many ranges at once and a round at a time, for 2^k ranks.
///
/// A rank that reduces a range with blocking exchanges waits each time for the slower rank of the moment. Here a range's
/// messages of one round are sent and the caller computes on; `advance` finishes that round when it is called the next
/// time, when the peer's message has long come. So ranks wait for one another only when one is a whole interval late.
///
/// Everything moves inside the calls, in the order in which ranges were started, and all ranks make the same calls: no
/// thread of its own is needed, and MPI moves its messages only while it is called.
package final class PipelinedAllReduce {
    /// Called with the range after each round of each range, for those who watch.
    package var onRound: ((Range<Int>) -> Void)?

    private let memory: any ExchangeMemory
    private let communicator: any Communicator
    private let maximumCount: Int
    /// k: rounds down to one segment a rank, and as many back.
    private let doublings: Int
    /// A ring: `count` flights under way from `oldest` on.
    private let flights: [Flight]
    private var oldest = 0
    private var count = 0

    /// How many ranges of this size can be under way at once at this number of ranks: a few MiB for each doubling, and
    /// never fewer than two.
    package static func capacity(worldSize: Int, count: Int) -> Int {
        min(16, worldSize.trailingZeroBitCount * max(2, (2 << 20) / max(1, count)))
    }

    /// Whether this number of ranks is one of those that it is made for.
    package static func supports(worldSize: Int) -> Bool { worldSize > 1 && worldSize.nonzeroBitCount == 1 }

    /// - Parameters:
    ///   - memory: what is summed in place.
    ///   - maximumCount: the most elements of one range.
    ///   - scratch: `capacity` memories of half as many elements, rounded up.
    package init(
        _ memory: any ExchangeMemory, maximumCount: Int, scratch: [any ExchangeMemory],
        on communicator: any Communicator
    ) {
        precondition(Self.supports(worldSize: communicator.worldSize), "\(communicator.worldSize) ranks")
        precondition(!scratch.isEmpty)
        self.memory = memory
        self.communicator = communicator
        self.maximumCount = maximumCount
        let doublings = communicator.worldSize.trailingZeroBitCount
        self.doublings = doublings
        flights = scratch.map { Flight(scratch: $0, sends: 2 * doublings) }
    }

    /// Starts to sum a range over ranks. It must not be read or written until `finish`.
    package func start(_ range: Range<Int>) throws(CollectiveError) {
        precondition(range.count <= maximumCount, "\(range.count) elements, made for \(maximumCount)")
        while count == flights.count { try advance() }
        let flight = flights[(oldest + count) % flights.count]
        count += 1
        flight.begin(range)
        try sendHalf(of: flight)
        onRound?(range)
    }

    /// Takes every range under way one round on.
    package func advance() throws(CollectiveError) {
        for place in 0..<count {
            let flight = flights[(oldest + place) % flights.count]
            try advance(flight)
            onRound?(flight.range)
        }
        while count > 0, flights[oldest].isDone {
            oldest = (oldest + 1) % flights.count
            count -= 1
        }
    }

    /// Takes all ranges to their end: every rank then has the sums.
    package func finish() throws(CollectiveError) {
        while count > 0 { try advance() }
    }

    /// Forgets what was under way when an error ended a step.
    package func reset() {
        (oldest, count) = (0, 0)
    }

    /// Rounds 0 ..< k halve the segment, rounds k ..< 2k double it again, and the last one lets go of the memory.
    private func advance(_ flight: Flight) throws(CollectiveError) {
        Activity.turn(toBucket: flight.range.lowerBound / max(1, maximumCount))
        switch flight.round {
        case 0..<doublings:
            try addReceived(to: flight)
            flight.round += 1
            try flight.round < doublings ? sendHalf(of: flight) : sendBack(flight)
        case doublings..<2 * doublings:
            try receiveBack(flight)
            flight.round += 1
            if flight.round < 2 * doublings { try sendBack(flight) }
        default:
            try finishSends(of: flight, butLast: 0)
            flight.round += 1
        }
    }

    // Down: half of the segment goes to the peer at distance 1, 2, 4 …, and the other half of the peer's comes in.

    private func sendHalf(of flight: Flight) throws(CollectiveError) {
        let (kept, given, peer) = halves(flight.segment, level: flight.round)
        flight.receive = try communicator.startReceive(into: flight.scratch, 0..<kept.count, from: peer, tag: 0)
        flight.sends.append(try communicator.startSend(memory, given, to: peer, tag: 0))
    }

    private func addReceived(to flight: Flight) throws(CollectiveError) {
        let kept = halves(flight.segment, level: flight.round).kept
        if let receive = flight.receive { try communicator.finish(receive) }
        flight.receive = nil
        flight.scratch.withMutableSpan(0..<kept.count) { received in
            memory.withMutableSpan(kept) { values in add(received.span, into: &values, at: 0) }
        }
        flight.segment = kept
    }

    // Back: the summed segment goes to the same peers in reverse, and theirs come in beside it.

    private func level(of flight: Flight) -> Int { 2 * doublings - 1 - flight.round }

    private func sendBack(_ flight: Flight) throws(CollectiveError) {
        let peer = communicator.rank ^ (1 << level(of: flight))
        flight.sends.append(try communicator.startSend(memory, flight.segment, to: peer, tag: 1))
    }

    private func receiveBack(_ flight: Flight) throws(CollectiveError) {
        // What comes in overwrites what an earlier send read. The peer has taken that before it sent this.
        try finishSends(of: flight, butLast: 1)
        let level = level(of: flight)
        var whole = flight.range
        for upper in 0..<level { whole = halves(whole, level: upper).kept }
        let (_, other, peer) = halves(whole, level: level)
        try communicator.finish(try communicator.startReceive(into: memory, other, from: peer, tag: 1))
        flight.segment = whole
    }

    private func finishSends(of flight: Flight, butLast left: Int) throws(CollectiveError) {
        for index in 0..<flight.sends.count - left { try communicator.finish(flight.sends[index]) }
        flight.sends.removeSubrange(0..<flight.sends.count - left)
    }

    private func halves(_ segment: Range<Int>, level: Int) -> (kept: Range<Int>, given: Range<Int>, peer: Int) {
        let bit = 1 << level
        let (kept, given) = ExactAllReduce.halves(segment, keepsLower: communicator.rank & bit == 0)
        return (kept, given, communicator.rank ^ bit)
    }

    /// A range on its way.
    private final class Flight {
        let scratch: any ExchangeMemory
        var range = 0..<0
        /// The part that this rank has the sum of, over 2^round ranks.
        var segment = 0..<0
        var round = 0
        var receive: Transfer?
        var sends: [Transfer] = []
        private let lastRound: Int

        init(scratch: any ExchangeMemory, sends count: Int) {
            self.scratch = scratch
            lastRound = count
            sends.reserveCapacity(count)
        }

        var isDone: Bool { round > lastRound }

        func begin(_ range: Range<Int>) {
            self.range = range
            segment = range
            round = 0
            receive = nil
            sends.removeAll(keepingCapacity: true)
        }
    }
}
