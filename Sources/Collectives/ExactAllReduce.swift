import Basics

/// Sums over ranks whose bits do not depend on the transport: at every element the ranks' values are added along the
/// canonical binary tree over rank numbers. Neighbours pair up at each level, a left-over at the right end is carried
/// up unchanged: ((0+1)+(2+3)) for 4 ranks, (0+1)+2 for 3, ((0+1)+(2+3))+(4+5) for 6.
///
/// With N = 2^k · m, m odd: k rounds of recursive doubling over distance 1, 2, 4, … with vector halving leave each
/// rank one segment of the sum over its block of 2^k neighbours; the m ranks that hold the same segment cut it into m
/// pieces, each rank collects one piece of all, adds along the tree and hands the sum back; then the k rounds
/// backwards. Every rank sends and receives 2 · (N − 1)/N of the data, as in any bandwidth-optimal allreduce.
///
/// Many ranges can be under way at once. A rank that sums one to its end waits each time for the slower rank of the
/// moment. Here a range's messages of one round are sent and the caller computes on; `advance` finishes that round when
/// it is called the next time, when the peer's message has long come. So ranks wait for one another only when one is a
/// whole interval late, or where m ranks meet. Everything moves inside the calls, in the order in which ranges were
/// started, and all ranks make the same calls: MPI moves its messages only while it is called. No call allocates.
package final class ExactAllReduce {
    /// Called with the range after each round of each range, for those who watch.
    package var onRound: ((Range<Int>) -> Void)?

    private let memory: any ExchangeMemory
    private let communicator: any Communicator
    private let maximumCount: Int
    /// k: rounds down to one segment a rank, and as many back.
    private let doublings: Int
    /// m.
    private let groups: Int
    /// A ring: `count` flights under way from `oldest` on.
    private let flights: [Flight]
    private var oldest = 0
    private var count = 0

    /// How many ranges of this size can be under way at once at this number of ranks: a few MiB for each doubling, and
    /// never fewer than two where ranks pair up.
    package static func capacity(worldSize: Int, count: Int) -> Int {
        max(1, min(16, worldSize.trailingZeroBitCount * max(2, (2 << 20) / max(1, count))))
    }

    /// Elements of the scratch of each range under way, for ranges of up to `maximumCount` elements.
    package static func scratchCount(maximumCount: Int, worldSize: Int) -> Int {
        let (doublings, groups) = shape(worldSize)
        let halving = doublings == 0 ? 0 : (maximumCount + 1) / 2
        let segment = ceiling(maximumCount, 1 << doublings)
        let collecting = groups == 1 ? 0 : groups * ceiling(segment, groups)
        return max(halving, collecting)
    }

    /// - Parameters:
    ///   - memory: what is summed in place.
    ///   - maximumCount: the most elements of one range.
    ///   - scratch: one memory of `scratchCount` elements for each range that can be under way.
    package init(
        _ memory: any ExchangeMemory, maximumCount: Int, scratch: [any ExchangeMemory],
        on communicator: any Communicator
    ) {
        precondition(!scratch.isEmpty)
        self.memory = memory
        self.communicator = communicator
        self.maximumCount = maximumCount
        let (doublings, groups) = Self.shape(communicator.worldSize)
        (self.doublings, self.groups) = (doublings, groups)
        flights = scratch.map { Flight(scratch: $0, sends: 2 * doublings) }
    }

    /// Starts to sum a range over ranks. It must not be read or written until `finish`.
    package func start(_ range: Range<Int>) throws(CollectiveError) {
        precondition(range.count <= maximumCount, "\(range.count) elements, made for \(maximumCount)")
        while count == flights.count { try advance() }
        let flight = flights[(oldest + count) % flights.count]
        count += 1
        flight.begin(range)
        try send(flight)
        onRound?(range)
    }

    /// Takes every range under way one round on.
    package func advance() throws(CollectiveError) {
        for place in 0..<count {
            let flight = flights[(oldest + place) % flights.count]
            try advance(flight)
            onRound?(flight.range)
        }
        while count > 0, flights[oldest].round > 2 * doublings {
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
        case 0..<doublings: try addReceived(to: flight)
        case doublings..<2 * doublings: try receiveBack(flight)
        default: try finishSends(of: flight, butLast: 0)
        }
        flight.round += 1
        try send(flight)
    }

    /// Sends what belongs to the flight's round.
    private func send(_ flight: Flight) throws(CollectiveError) {
        if flight.round == doublings, groups > 1 { try sumOverGroups(flight) }
        switch flight.round {
        case 0..<doublings: try sendHalf(of: flight)
        case doublings..<2 * doublings: try sendBack(flight)
        default: break
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
            memory.withMutableSpan(kept) { values in add(received.span, into: &values) }
        }
        flight.segment = kept
    }

    /// In the middle: sums the segment over the ranks r, r + 2^k, r + 2 · 2^k, … that hold it, and waits for them.
    private func sumOverGroups(_ flight: Flight) throws(CollectiveError) {
        Activity.turn(toBucket: flight.range.lowerBound / max(1, maximumCount))
        let (group, base) = communicator.rank.quotientAndRemainder(dividingBy: 1 << doublings)
        let length = Self.ceiling(flight.segment.count, groups)
        func piece(_ index: Int) -> Range<Int> {
            let lower = min(flight.segment.lowerBound + index * length, flight.segment.upperBound)
            return lower..<min(lower + length, flight.segment.upperBound)
        }
        let mine = piece(group)

        // In round r the groups i and j with i + j = r (mod m) meet, so each meets every other once.
        func exchange(
            sending: (Int) -> Range<Int>, into target: any ExchangeMemory, _ receiving: (Int) -> Range<Int>
        ) throws(CollectiveError) {
            for round in 0..<groups {
                let other = (round - group + groups) % groups
                guard other != group else { continue }
                let peer = other * (1 << doublings) + base
                let receive = try communicator.startReceive(into: target, receiving(other), from: peer, tag: 0)
                let send = try communicator.startSend(memory, sending(other), to: peer, tag: 0)
                try communicator.finish(receive)
                try communicator.finish(send)
            }
        }
        try exchange(sending: piece, into: flight.scratch) { $0 * length..<$0 * length + mine.count }
        flight.scratch.withMutableSpan(0..<groups * length) { room in
            memory.withMutableSpan(mine) { own in
                for i in own.indices { room[group * length + i] = own[i] }
                var width = 1
                while width < groups {
                    for left in stride(from: 0, to: groups - width, by: 2 * width) {
                        addInside(&room, from: (left + width) * length, into: left * length, count: mine.count)
                    }
                    width *= 2
                }
                for i in own.indices { own[i] = room[i] }
            }
        }
        try exchange(sending: { _ in mine }, into: memory, piece)
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

    /// The half of a segment that this rank keeps and the one that it gives to `peer`; the lower half is the shorter one.
    private func halves(_ segment: Range<Int>, level: Int) -> (kept: Range<Int>, given: Range<Int>, peer: Int) {
        let peer = communicator.rank ^ (1 << level)
        let middle = segment.lowerBound + segment.count / 2
        let lower = segment.lowerBound..<middle
        let upper = middle..<segment.upperBound
        return communicator.rank < peer ? (lower, upper, peer) : (upper, lower, peer)
    }

    /// N = 2^doublings · groups with an odd number of groups.
    private static func shape(_ worldSize: Int) -> (doublings: Int, groups: Int) {
        (worldSize.trailingZeroBitCount, worldSize >> worldSize.trailingZeroBitCount)
    }

    private static func ceiling(_ a: Int, _ b: Int) -> Int { (a + b - 1) / b }

    /// A range on its way.
    private final class Flight {
        let scratch: any ExchangeMemory
        var range = 0..<0
        /// The part that this rank has the sum of, over 2^round ranks.
        var segment = 0..<0
        var round = 0
        var receive: Transfer?
        var sends: [Transfer] = []

        init(scratch: any ExchangeMemory, sends count: Int) {
            self.scratch = scratch
            sends.reserveCapacity(count)
        }

        func begin(_ range: Range<Int>) {
            self.range = range
            segment = range
            round = 0
            receive = nil
            sends.removeAll(keepingCapacity: true)
        }
    }
}

// The loops. Bounds are checked once before each, so that the body can be vectorised.

private func add(_ source: Span<Float>, into target: inout MutableSpan<Float>) {
    let count = source.count
    precondition(count == target.count)
    for i in 0..<count { target[unchecked: i] += source[unchecked: i] }
}

private func addInside(_ span: inout MutableSpan<Float>, from: Int, into: Int, count: Int) {
    precondition(from >= 0 && into >= 0 && max(from, into) + count <= span.count)
    for i in 0..<count { span[unchecked: into &+ i] += span[unchecked: from &+ i] }
}
