import Basics
import CMPI
import Collectives
import DataParallel
import Kernels
import MPICollectives
import TestSupport

/// Every check; rank 0 prints the hashes of the exact results, for the caller to compare.
func checkAll(expected: Int, chunkLimit: Int?, on communicator: MPICommunicator) throws {
    guard communicator.worldSize == expected else {
        throw Stop(
            exitCode: 70,
            description: "the world has \(communicator.worldSize) ranks, expected \(expected): nothing was checked")
    }
    if let chunkLimit { cmpi_chunk_limit = chunkLimit }
    try CollectiveChecks(communicator).run()

    for count in [17, 100_003] {
        let here = CanonicalTree.hash(try CollectiveChecks.exactSum(count: count, on: communicator))
        let threads = try ThreadWorld.run(worldSize: expected) {
            CanonicalTree.hash(try CollectiveChecks.exactSum(count: count, on: $0))
        }
        guard threads.allSatisfy({ $0 == here }) else {
            throw Stop(exitCode: 70, description: "the exact sum of \(count) elements is another one on threads")
        }
        tell("exact \(count) \(String(here, radix: 16))", on: communicator)
    }
    for overlap in ReductionOverlap.allCases {
        let here = CanonicalTree.hash(try reducedGradients(on: communicator, overlap: overlap))
        let threads = try ThreadWorld.run(worldSize: expected) {
            CanonicalTree.hash(try reducedGradients(on: $0, overlap: overlap))
        }
        guard threads.allSatisfy({ $0 == here }) else {
            throw Stop(exitCode: 70, description: "the reduced gradients are others on threads")
        }
        tell("gradients overlap=\(overlap) \(String(here, radix: 16))", on: communicator)
    }
    try checkPlainSums(on: communicator)
    try checkParameterBroadcast(on: communicator)
    try checkMatrixSharing(on: communicator)
    try checkActivity(on: communicator)
    try checkSecondStart()
    tell("all checks passed on \(expected) ranks, \(communicator.implementation)", on: communicator)
}

/// `--reduction mpi`: whole numbers add up exactly in whatever order the library adds.
private func checkPlainSums(on communicator: MPICommunicator) throws {
    let count = 2003
    let gradients = try Buffer<Float>(count: count)
    let reducer = try GradientReducer(
        communicator: communicator, gradients: gradients, bucketElements: 1000, mode: .mpi, microBatchesPerRank: 1)
    reducer.beginStep()
    reducer.beginMicroBatch(0)
    gradients.set((0..<count).map { Float($0 * 31 % 10_007 + communicator.rank) })
    try reducer.completed(0..<count)
    try reducer.endMicroBatch()
    let size = communicator.worldSize
    let expected = (0..<count).map { Float($0 * 31 % 10_007 * size + size * (size - 1) / 2) }
    guard gradients.array() == expected else {
        throw Stop(exitCode: 70, description: "the sum by MPI_Allreduce is another one")
    }
}

/// Three micro-batches a rank through the gradient reducer.
func reducedGradients(on communicator: any Communicator, overlap: ReductionOverlap) throws -> [Float] {
    let count = 10_007
    let gradients = try Buffer<Float>(count: count)
    let reducer = try GradientReducer(
        communicator: communicator, gradients: gradients, bucketElements: 1000, mode: .exact, microBatchesPerRank: 3,
        overlap: overlap)
    reducer.beginStep()
    for index in 0..<3 {
        reducer.beginMicroBatch(index)
        let values = CanonicalTree.values(count: count, seed: UInt64(communicator.rank * 3 + index))
        var end = count
        while end > 0 {
            let range = max(0, end - 777)..<end
            gradients.withMutableSpan(range) { span in
                for i in span.indices { span[i] = values[range.lowerBound + i] }
            }
            try reducer.completed(range)
            end = range.lowerBound
        }
        try reducer.endMicroBatch()
    }
    return gradients.withSpan(0..<count) { span in span.indices.map { span[$0] } }
}

private func checkParameterBroadcast(on communicator: MPICommunicator) throws {
    let buffer = try Buffer<Float>(count: 1003)
    let expected = CanonicalTree.values(count: 1003, seed: 5)
    if communicator.rank == 0 {
        buffer.withMutableSpan(0..<1003) { span in for i in span.indices { span[i] = expected[i] } }
    }
    try ParameterBroadcast.broadcast(buffer, chunkElements: 100, on: communicator)
    let values = buffer.withSpan(0..<1003) { span in span.indices.map { span[$0] } }
    guard values == expected else { throw Stop(exitCode: 70, description: "rank 0's parameters did not arrive") }
}

/// The watchdog sees the end of each call that waits for others.
private func checkActivity(on communicator: MPICommunicator) throws {
    let before = Activity.state.progress
    try communicator.barrier()
    let after = Activity.state
    guard after.progress > before, !after.isWaiting else {
        throw Stop(exitCode: 70, description: "the watchdog does not see that a barrier has ended")
    }
}

/// MPI starts once. The error is this program's own, not MPI's, nor a peer's.
private func checkSecondStart() throws {
    do throws(CollectiveError) {
        _ = try MPICommunicator(environment: [:])
    } catch {
        let text = "start failed on rank 0: MPI was started before in this process; it can be started once only"
        guard error.exitCode == .internalError, error.description == text else {
            throw Stop(exitCode: 70, description: "a second start of MPI fails with: \(error)")
        }
        return
    }
    throw Stop(exitCode: 70, description: "MPI has started twice")
}

/// One rank throws while the others wait in a collective.
func failOnPurpose(rank: Int, code: ExitCode, on communicator: MPICommunicator) throws {
    try communicator.barrier()
    if communicator.rank == rank {
        throw Stop(exitCode: code, description: "rank \(rank) fails on purpose")
    }
    try communicator.barrier()
}

/// Prints on rank 0 alone.
func tell(_ line: String, on communicator: any Communicator) {
    if communicator.rank == 0 { print(line) }
}

/// The highest rank has another configuration; every rank throws the same error.
func disagreeOnPurpose(on communicator: MPICommunicator) throws {
    let isLast = communicator.rank == communicator.worldSize - 1
    try RankAgreement.verifySameConfiguration(
        [("--seed", "1337"), ("--global-batch", isLast ? "8" : "16")], on: communicator)
}
