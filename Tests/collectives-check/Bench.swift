import Collectives
import MPICollectives
import TestSupport

/// Prints the median time of each reduction at each size, as seen by the slowest rank.
func bench(megabytes: [Double], on communicator: MPICommunicator) throws {
    let sizes = megabytes.isEmpty ? [1, 4, 17, 67] : megabytes
    tell("ranks \(communicator.worldSize), \(communicator.implementation)", on: communicator)
    tell("    MB   exact ms   MPI_Allreduce ms", on: communicator)
    for size in sizes {
        let count = Int(size * 1e6) / 4
        let memory = FixedFloats([Float](repeating: 0, count: count))
        let exact = ExactAllReduce(memory, maximumCount: count, on: communicator)
        let repetitions = size > 10 ? 15 : 60
        let times = [
            try median(repetitions, communicator) {
                try exact.start(0..<count)
                try exact.finish()
            },
            try median(repetitions, communicator) {
                try memory.withMutableSpan(0..<count) { try communicator.allReduce(&$0, .sum) }
            },
        ]
        tell("\(pad(size, 6)) \(times.map { pad($0, 12) }.joined(separator: " "))", on: communicator)
    }
}

private func median(_ repetitions: Int, _ communicator: any Communicator, _ body: () throws -> Void) throws -> Double {
    var times: [Double] = []
    for _ in 0..<repetitions {
        try communicator.barrier()
        let start = ContinuousClock.now
        try body()
        let elapsed = (ContinuousClock.now - start) / Duration.milliseconds(1)
        times.append(try communicator.allReduce(elapsed, .maximum))
    }
    return times.sorted()[repetitions / 2]
}

private func pad(_ value: Double, _ width: Int) -> String {
    let text = String((value * 1000).rounded() / 1000)
    return String(repeating: " ", count: max(0, width - text.count)) + text
}
