import Basics
import Collectives
import TestSupport
import Testing
import Training

@Suite struct AgreementTests {
    private struct Unknown: Error, CustomStringConvertible { let description = "something else" }

    /// What each rank throws when `failing` throws on its rank.
    private func outcomes(_ ranks: Int, _ failing: [Int: any Error]) -> [AgreedError?] {
        ThreadWorld.outcomes(worldSize: ranks) { communicator in
            try communicator.agreeing {
                if let error = failing[communicator.rank] { throw error }
            }
        }.map { outcome in
            if case .failure(let error) = outcome { error as? AgreedError } else { nil }
        }
    }

    @Test(arguments: [1, 2, 3, 4])
    func successIsEveryonesOwn(ranks: Int) throws {
        let values = try ThreadWorld.run(worldSize: ranks) { communicator in
            try communicator.agreeing { communicator.rank * 10 }
        }
        #expect(values == (0..<ranks).map { $0 * 10 })
    }

    @Test func oneRanksErrorIsEveryones() {
        let expected = AgreedError(description: "no shard (on rank 2)", exitCode: 66, speaker: 2)
        #expect(outcomes(4, [2: ExitError(66, "no shard")]) == [expected, expected, expected, expected])
    }

    @Test func theLowestRankThatFailedSpeaks() {
        let expected = AgreedError(description: "first (on rank 1, 3)", exitCode: 65, speaker: 1)
        let errors: [Int: any Error] = [3: ExitError(81, "second"), 1: ExitError(65, "first")]
        #expect(outcomes(4, errors) == [expected, expected, expected, expected])
    }

    @Test func anErrorOfAllRanksNamesNone() {
        let expected = AgreedError(description: "same", exitCode: 64, speaker: 0)
        #expect(outcomes(2, [0: ExitError(64, "same"), 1: ExitError(64, "same")]) == [expected, expected])
    }

    @Test func anErrorOfNoKnownKindIsInternal() {
        let expected = AgreedError(description: "something else (on rank 1)", exitCode: 70, speaker: 1)
        #expect(outcomes(2, [1: Unknown()]) == [expected, expected])
    }

    @Test func oneProcessHasTheSameError() {
        let error = #expect(throws: AgreedError.self) {
            try SingleProcess().agreeing { throw ExitError(73, "cannot write") }
        }
        #expect(error == AgreedError(description: "cannot write", exitCode: 73, speaker: 0))
    }

    /// After an agreed error the ranks can go on talking: none is left in the middle of a collective.
    @Test func theWorldStaysUsable() throws {
        let sums = try ThreadWorld.run(worldSize: 3) { communicator in
            _ = try? communicator.agreeing { if communicator.rank == 1 { throw ExitError(65, "bad") } }
            return try communicator.allReduce(Int64(communicator.rank), .sum)
        }
        #expect(sums == [3, 3, 3])
    }

    @Test func rankZerosBytesReachAll() throws {
        let bytes = try ThreadWorld.run(worldSize: 3) { communicator in
            try communicator.fromRankZero {
                #expect(communicator.rank == 0)
                return [1, 2, 3]
            }
        }
        #expect(bytes == [[1, 2, 3], [1, 2, 3], [1, 2, 3]])
    }

    @Test func rankZerosErrorReachesAll() {
        let outcomes = ThreadWorld.outcomes(worldSize: 2) { communicator in
            try communicator.fromRankZero { throw ExitError(65, "no checkpoint") }
        }
        for outcome in outcomes {
            guard case .failure(let error as AgreedError) = outcome else {
                Issue.record("\(outcome)")
                continue
            }
            #expect(error.exitCode == 65 && error.speaker == 0)
            #expect(error.description.hasPrefix("no checkpoint"))
        }
    }

    /// A failure of the library and a launcher that does not match have other codes than a peer that is gone.
    @Test(arguments: [70, 76, 78] as [ExitCode])
    func aCollectivesOwnCodeCounts(code: ExitCode) {
        let error = CollectiveError(operation: "start", rank: 0, reason: "", exitCode: code)
        #expect(exitCode(of: error) == code)
    }
}
