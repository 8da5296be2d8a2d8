import Basics
import Collectives
import DataParallel
import Kernels
import TestSupport

/// Results of matrices go from their owners to all, to the bit, update after update, however few may be under way.
func checkMatrixSharing(on communicator: any Communicator) throws {
    // Of odd sizes, so that chunks and matrices do not end together.
    let shapes = [(65, 193), (64, 64), (67, 255), (255, 67), (64, 192), (63, 65), (67, 255), (255, 67)].map {
        MatrixShape(rows: $0.0, columns: $0.1)
    }
    let total = shapes.reduce(0) { $0 + $1.count }
    func value(_ rank: Int, _ update: Int, _ index: Int) -> Float {
        Float(index % 1013 + 2000 * update) + Float(rank) / 8
    }
    for limit in [1, 3, nil] {
        guard let sharing = MatrixSharing(shapes, on: communicator, limit: limit) else { continue }
        let arena = try Buffer<Float>(count: total)
        for update in 0..<3 {
            let before = Activity.state.progress
            arena.set((0..<total).map { value(communicator.rank, update, $0) })
            var start = 0
            var named: [Int] = []
            for (index, shape) in shapes.enumerated() {
                try sharing.start(index, arena, start..<start + shape.count)
                start += shape.count
                // One rank never asks before the end.
                guard communicator.rank != 1 else { continue }
                while let other = try sharing.next(waiting: false) { named.append(other) }
            }
            while let other = try sharing.next(waiting: true) { named.append(other) }
            start = 0
            var expected: [Float] = []
            for (shape, owner) in zip(shapes, sharing.owners) {
                expected += (start..<start + shape.count).map { value(owner, update, $0) }
                start += shape.count
            }
            guard arena.array() == expected, named == shapes.indices.filter({ !sharing.isOwn($0) }) else {
                throw Stop(exitCode: 70, description: "a matrix of another rank did not arrive, limit \(limit ?? 0)")
            }
            // The watchdog sees each wait end.
            guard Activity.state.progress > before, !Activity.state.isWaiting else {
                throw Stop(exitCode: 70, description: "the watchdog sees no progress of an exchange")
            }
        }
    }
}
