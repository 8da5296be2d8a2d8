/// A sum over ranks whose bits do not depend on the transport: at every element the ranks' values are added along the
/// canonical binary tree over rank numbers. Neighbours pair up at each level, a left-over at the right end is carried
/// up unchanged: ((0+1)+(2+3)) for 4 ranks, (0+1)+2 for 3, ((0+1)+(2+3))+(4+5) for 6.
///
/// With N = 2^k · m, m odd: k rounds of recursive doubling over distance 1, 2, 4, … with vector halving leave each
/// rank one segment of the sum over its block of 2^k neighbours; the m ranks that hold the same segment cut it into m
/// pieces, each rank collects one piece of all, adds along the tree and hands the sum back; then the k rounds
/// backwards. Every rank sends and receives 2 · (N − 1)/N of the data, as in any bandwidth-optimal allreduce.
///
/// A call allocates nothing.
package final class ExactAllReduce {
    /// The most elements that `sum` takes.
    package let maximumCount: Int
    private let worldSize: Int
    private let scratch: any ExchangeMemory

    /// Elements of the scratch for sums of up to `maximumCount` elements over this many ranks.
    package static func scratchCount(maximumCount: Int, worldSize: Int) -> Int {
        precondition(maximumCount >= 0 && worldSize >= 1)
        let (doublings, groups) = shape(worldSize)
        let halving = doublings == 0 ? 0 : (maximumCount + 1) / 2
        let segment = ceiling(maximumCount, 1 << doublings)
        let collecting = groups == 1 ? 0 : groups * ceiling(segment, groups)
        return max(halving, collecting)
    }

    /// - Parameter scratch: `scratchCount` elements, which nobody else uses during a sum.
    package init(maximumCount: Int, worldSize: Int, scratch: any ExchangeMemory) {
        self.maximumCount = maximumCount
        self.worldSize = worldSize
        self.scratch = scratch
    }

    /// Sums `values` over ranks in place; every rank gets the same bits.
    /// - Precondition: all ranks pass the same count, at most `maximumCount`, and `communicator` has `worldSize` ranks.
    package func sum(_ values: inout MutableSpan<Float>, on communicator: any Communicator) throws(CollectiveError) {
        precondition(values.count <= maximumCount, "\(values.count) elements, made for \(maximumCount)")
        precondition(communicator.worldSize == worldSize, "made for \(worldSize) ranks")
        guard worldSize > 1 else { return }
        let room = 0..<Self.scratchCount(maximumCount: maximumCount, worldSize: worldSize)
        try scratch.withMutableSpan(room) { (room) throws(CollectiveError) in
            try sum(&values, &room, communicator)
        }
    }

    private func sum(
        _ values: inout MutableSpan<Float>, _ room: inout MutableSpan<Float>, _ communicator: any Communicator
    ) throws(CollectiveError) {
        let rank = communicator.rank
        let (doublings, groups) = Self.shape(worldSize)

        var segment = 0..<values.count
        for level in 0..<doublings {
            let (kept, given) = Self.halves(segment, keepsLower: rank & (1 << level) == 0)
            var received = room._mutatingExtracting(0..<kept.count)
            try communicator.exchange(
                sending: values.span.extracting(given), receiving: &received, with: rank ^ (1 << level))
            add(received.span, into: &values, at: kept.lowerBound)
            segment = kept
        }
        if groups > 1 {
            try sumOverGroups(&values, segment, &room, groups, 1 << doublings, communicator)
        }
        for level in stride(from: doublings - 1, through: 0, by: -1) {
            // The segment was a half of this: find the other one again by walking down from the top.
            var mine = 0..<values.count
            var other = mine
            for upper in 0...level {
                (mine, other) = Self.halves(mine, keepsLower: rank & (1 << upper) == 0)
            }
            try communicator.exchange(in: &values, sending: mine, receiving: other, with: rank ^ (1 << level))
        }
    }

    /// Sums one segment over the ranks r, r + distance, r + 2 · distance, … that hold it.
    private func sumOverGroups(
        _ values: inout MutableSpan<Float>, _ segment: Range<Int>, _ room: inout MutableSpan<Float>,
        _ groups: Int, _ distance: Int, _ communicator: any Communicator
    ) throws(CollectiveError) {
        let (group, base) = communicator.rank.quotientAndRemainder(dividingBy: distance)
        let length = Self.ceiling(segment.count, groups)
        func piece(_ index: Int) -> Range<Int> {
            let lower = min(segment.lowerBound + index * length, segment.upperBound)
            return lower..<min(lower + length, segment.upperBound)
        }
        let mine = piece(group)

        // In round k the groups i and j with i + j = k (mod groups) meet, so each meets every other once.
        for round in 0..<groups {
            let peer = (round - group + groups) % groups
            guard peer != group else { continue }
            var received = room._mutatingExtracting(peer * length..<peer * length + mine.count)
            try communicator.exchange(
                sending: values.span.extracting(piece(peer)), receiving: &received, with: peer * distance + base)
        }
        var own = room._mutatingExtracting(group * length..<group * length + mine.count)
        copy(values.span.extracting(mine), into: &own)

        var width = 1
        while width < groups {
            for left in stride(from: 0, to: groups - width, by: 2 * width) {
                addInside(&room, from: (left + width) * length, into: left * length, count: mine.count)
            }
            width *= 2
        }
        var target = values._mutatingExtracting(mine)
        copy(room.span.extracting(0..<mine.count), into: &target)

        for round in 0..<groups {
            let peer = (round - group + groups) % groups
            guard peer != group else { continue }
            try communicator.exchange(
                in: &values, sending: mine, receiving: piece(peer), with: peer * distance + base)
        }
    }

    /// N = 2^doublings · groups with an odd number of groups.
    private static func shape(_ worldSize: Int) -> (doublings: Int, groups: Int) {
        (worldSize.trailingZeroBitCount, worldSize >> worldSize.trailingZeroBitCount)
    }

    /// The half of a range that a rank keeps and the one that it gives; the lower half is the shorter one.
    static func halves(_ range: Range<Int>, keepsLower: Bool) -> (kept: Range<Int>, given: Range<Int>) {
        let middle = range.lowerBound + range.count / 2
        let lower = range.lowerBound..<middle
        let upper = middle..<range.upperBound
        return keepsLower ? (lower, upper) : (upper, lower)
    }

    private static func ceiling(_ a: Int, _ b: Int) -> Int { (a + b - 1) / b }
}

// The loops. Bounds are checked once before each, so that the body can be vectorised.

func add(_ source: Span<Float>, into target: inout MutableSpan<Float>, at start: Int) {
    let count = source.count
    precondition(start >= 0 && start + count <= target.count)
    for i in 0..<count { target[unchecked: start &+ i] += source[unchecked: i] }
}

private func copy(_ source: Span<Float>, into target: inout MutableSpan<Float>) {
    let count = source.count
    precondition(count == target.count)
    for i in 0..<count { target[unchecked: i] = source[unchecked: i] }
}

private func addInside(_ span: inout MutableSpan<Float>, from: Int, into: Int, count: Int) {
    precondition(from >= 0 && into >= 0 && max(from, into) + count <= span.count)
    for i in 0..<count { span[unchecked: into &+ i] += span[unchecked: from &+ i] }
}
