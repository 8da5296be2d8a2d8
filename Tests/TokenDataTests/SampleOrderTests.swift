import Testing
import TokenData

/// The order of sequences: a permutation an epoch, a function of (seed, epoch), well mixed, in O(1).
@Suite struct SampleOrderTests {
    @Test(arguments: [1, 2, 3, 4, 5, 7, 8, 9, 31, 64, 100, 1000, 4097])
    func anEpochVisitsEachSequenceOnce(count: Int) {
        for seed in UInt64(0)..<5 {
            let order = SampleOrder(seed: seed, sequenceCount: count, shuffle: true)
            for epoch in 0..<3 {
                let visited = (0..<count).map { order.sequence(at: epoch * count + $0) }
                #expect(visited.allSatisfy { $0.epoch == epoch })
                #expect(visited.map(\.index).sorted() == Array(0..<count))
            }
        }
    }

    @Test func fileOrderWithoutShuffle() {
        let order = SampleOrder(seed: 9, sequenceCount: 5, shuffle: false)
        #expect((0..<12).map { order.sequence(at: $0).index } == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1])
        #expect((0..<12).map { order.sequence(at: $0).epoch } == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2])
    }

    /// A stored run goes on in this order: these numbers (of Tests/Reference/sample_order.py) may never change.
    @Test func theOrderIsFixedForEver() {
        let order = SampleOrder(seed: 1337, sequenceCount: 10, shuffle: true)
        #expect((0..<10).map { order.sequence(at: $0).index } == [4, 2, 9, 3, 5, 1, 0, 6, 8, 7])
        #expect((10..<20).map { order.sequence(at: $0).index } == [6, 9, 0, 2, 4, 3, 8, 5, 7, 1])
        let large = SampleOrder(seed: 42, sequenceCount: 1_000_003, shuffle: true)
        #expect([0, 1, 1_000_002, 5_000_000].map { large.sequence(at: $0).index } == [361920, 82848, 286503, 495255])
    }

    @Test func seedsAndEpochsGiveDifferentOrders() {
        let count = 1000
        func indices(_ seed: UInt64, _ epoch: Int) -> [Int] {
            let order = SampleOrder(seed: seed, sequenceCount: count, shuffle: true)
            return (0..<count).map { order.sequence(at: epoch * count + $0).index }
        }
        let orders = [indices(1, 0), indices(1, 1), indices(2, 0), indices(2, 1), indices(0, 1), indices(.max, 0)]
        for (a, b) in orders.indices.flatMap({ a in (0..<a).map { (a, $0) } }) {
            let equal = zip(orders[a], orders[b]).count { $0 == $1 }
            #expect(equal < 10, "orders \(a) and \(b) agree in \(equal) places; about 1 is expected")
        }
    }

    /// Over many seeds each sequence stands at each place equally often, and neighbours are independent.
    @Test(arguments: [3, 4, 5, 6, 10]) func placesAreUniform(count: Int) {
        let trials = 20_000
        var places = [[Int]](repeating: [Int](repeating: 0, count: count), count: count)
        var followers = places
        for seed in 0..<UInt64(trials) {
            let order = SampleOrder(seed: seed, sequenceCount: count, shuffle: true)
            let indices = (0..<count).map { order.sequence(at: $0).index }
            for (place, index) in indices.enumerated() { places[place][index] += 1 }
            followers[indices[0]][indices[1]] += 1
        }
        // Six standard deviations of a binomial count.
        func check(_ observed: Int, _ share: Double) {
            let expected = Double(trials) * share
            #expect(
                abs(Double(observed) - expected) < 6 * (expected * (1 - share)).squareRoot(), "\(observed), \(expected)"
            )
        }
        for place in places.joined() { check(place, 1 / Double(count)) }
        for (first, row) in followers.enumerated() {
            for (second, observed) in row.enumerated() where first != second {
                check(observed, 1 / Double(count * (count - 1)))
            }
        }
    }

    /// An order of many sequences has no more runs, fixed points and close neighbours than chance gives.
    @Test func largeOrdersLookRandom() {
        let count = 100_000
        let order = SampleOrder(seed: 7, sequenceCount: count, shuffle: true)
        let indices = (0..<count).map { order.sequence(at: $0).index }
        let rises = zip(indices, indices.dropFirst()).count { $0 < $1 }
        #expect(abs(rises - count / 2) < 600)  // standard deviation √(n/12) = 91
        #expect(indices.enumerated().count { $0 == $1 } < 10)  // about 1
        let close = zip(indices, indices.dropFirst()).count { abs($0 - $1) < 100 }
        #expect(abs(close - 199) < 90)  // about 199, standard deviation 14
        // A quarter of an epoch covers each quarter of the data evenly.
        for quarter in 0..<4 {
            let inside = indices[..<25_000].count { $0 / 25_000 == quarter }
            #expect(abs(inside - 6_250) < 360)  // standard deviation 59
        }
    }

    @Test func farPositionsCostNothing() {
        let order = SampleOrder(seed: 3, sequenceCount: 1 << 40 | 1, shuffle: true)
        for position in [0, 1 << 40, 1 << 62, Int.max] {
            let (epoch, index) = order.sequence(at: position)
            #expect(epoch == position / (1 << 40 | 1))
            #expect((0...(1 << 40)).contains(index))
        }
    }
}
