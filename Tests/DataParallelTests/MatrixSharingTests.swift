import Collectives
import DataParallel
import Kernels
import TestSupport
import Testing

@Suite struct MatrixSharingTests {
    /// The matrices of two layers of width C.
    private func shapes(_ width: Int) -> [MatrixShape] {
        (0..<2).flatMap { _ in
            [(width, 3 * width), (width, width), (width, 4 * width), (4 * width, width)]
                .map { MatrixShape(rows: $0.0, columns: $0.1) }
        }
    }

    @Test func theLargestGoFirst() {
        // Operations of 64 × N: 5 · 64² · (4N + 128). The first two go apart, and each next one to the lesser load.
        let shapes = [1, 4, 2, 4, 3].map { MatrixShape(rows: 64, columns: 64 * $0) }
        #expect(MatrixSharing.owners(shapes, ranks: 2) == [1, 0, 1, 1, 0])
        #expect(MatrixSharing.owners(shapes, ranks: 1) == [0, 0, 0, 0, 0])
        #expect(MatrixSharing.owners(shapes, ranks: 8) == [4, 0, 3, 1, 2])
        #expect(MatrixSharing.owners([], ranks: 3).isEmpty)
    }

    /// No rank has more to do than an even share and one matrix.
    @Test(arguments: 1...9) func theWorkIsEven(ranks: Int) {
        let shapes = shapes(96)
        let owners = MatrixSharing.owners(shapes, ranks: ranks)
        let loads = (0..<ranks).map { rank in
            zip(shapes, owners).reduce(0) { $0 + ($1.1 == rank ? $1.0.operations : 0) }
        }
        let largest = shapes.map(\.operations).max() ?? 0
        #expect((loads.max() ?? 0) <= loads.reduce(0, +) / ranks + largest)
        #expect(loads.reduce(0, +) == shapes.reduce(0) { $0 + $1.operations })
    }

    @Test(arguments: [(16, 2, false), (16, 8, false), (64, 1, false), (64, 2, true), (64, 4, true), (384, 8, true)])
    func smallMatricesAreComputedByAll(width: Int, ranks: Int, isShared: Bool) throws {
        let shapes = shapes(width)
        let found = try ThreadWorld.run(worldSize: ranks) { communicator in
            MatrixSharing(shapes, on: communicator) != nil
        }
        #expect(found == [Bool](repeating: isShared, count: ranks))
        #expect(
            MatrixSharing.isWorthwhile(shapes, owners: MatrixSharing.owners(shapes, ranks: ranks), ranks: ranks)
                == isShared)
    }

    private static func value(_ rank: Int, _ index: Int) -> Float { Float(index % 1013) + Float(rank) / 8 }

    /// Every rank ends with what each matrix's owner had, to the bit, and with nothing else changed, in every update, and
    /// however few may be under way.
    @Test(arguments: [2, 3, 4], [1, 2, nil] as [Int?]) func allGetTheOwnersBits(ranks: Int, limit: Int?) throws {
        let shapes = shapes(64)
        let total = shapes.reduce(16) { $0 + $1.count }
        let results = try ThreadWorld.run(worldSize: ranks) { communicator in
            let arena = try Buffer<Float>(count: total)
            guard let sharing = MatrixSharing(shapes, on: communicator, limit: limit) else { return [Float]() }
            for update in 0..<3 {
                arena.set((0..<total).map { Self.value(communicator.rank, $0) + Float(update) })
                var named: [Int] = []
                var start = 0
                for (index, shape) in shapes.enumerated() {
                    if sharing.isOwn(index) != (sharing.owners[index] == communicator.rank) { return [] }
                    try sharing.start(index, arena, start..<start + shape.count)
                    start += shape.count
                    // Ranks of which one asks often, one never before the end.
                    guard communicator.rank != 1 else { continue }
                    while let other = try sharing.next(waiting: false) { named.append(other) }
                }
                while let other = try sharing.next(waiting: true) { named.append(other) }
                // Each of the others once, in order.
                if named != shapes.indices.filter({ !sharing.isOwn($0) }) { return [] }
            }
            return arena.array()
        }
        let owners = MatrixSharing.owners(shapes, ranks: ranks)
        for (rank, found) in results.enumerated() {
            var expected: [Float] = []
            for (shape, owner) in zip(shapes, owners) {
                expected += (expected.count..<expected.count + shape.count).map { Self.value(owner, $0) + 2 }
            }
            expected += (expected.count..<total).map { Self.value(rank, $0) + 2 }
            #expect(found.count == total && zip(found, expected).allSatisfy { $0.bitPattern == $1.bitPattern })
        }
    }
}
