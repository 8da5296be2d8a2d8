import Basics
import Collectives
import DataParallel
import Foundation
import TestSupport
import Testing

struct RankAgreementTests {
    /// The error of every rank.
    private func errors(
        worldSize: Int, _ body: @escaping @Sendable (any Communicator) throws -> Void
    ) -> [RankDisagreement?] {
        ThreadWorld.outcomes(worldSize: worldSize, body).map { outcome in
            guard case .failure(let error) = outcome else { return nil }
            return error as? RankDisagreement
        }
    }

    @Test(arguments: 1...4)
    func `Equal configurations pass`(worldSize: Int) throws {
        _ = try ThreadWorld.run(worldSize: worldSize) { communicator in
            try RankAgreement.verifySameConfiguration(
                [("--seed", "1337"), ("--name", "run ä = b, c"), ("--empty", "")], on: communicator)
            try RankAgreement.verifySameWeights(fingerprints: [1, 2], names: ["a", "b"], step: 3, on: communicator)
            // Nothing is left behind in the communicator.
            try communicator.barrier()
        }
    }

    @Test func `A different configuration names the ranks by value on every rank`() {
        let errors = errors(worldSize: 4) { communicator in
            let batch = communicator.rank == 2 ? "8" : "16"
            try RankAgreement.verifySameConfiguration([("--seed", "1"), ("--global-batch", batch)], on: communicator)
        }
        for error in errors {
            #expect(error?.exitCode == 78)
            #expect(
                error?.description.contains("ranks {0,1,3} --global-batch=16, rank {2} --global-batch=8;") == true,
                "\(String(describing: error))")
            #expect(error?.description.contains("--seed") == false)
        }
    }

    @Test func `A rank that lacks a name differs`() {
        let errors = errors(worldSize: 2) { communicator in
            let extra = communicator.rank == 1 ? [("--new", "1")] : []
            try RankAgreement.verifySameConfiguration([("--seed", "1")] + extra, on: communicator)
        }
        for error in errors {
            #expect(error?.description.contains("rank {0} without --new, rank {1} --new=1") == true)
        }
    }

    @Test func `Values that look like another list's parts do not collide`() {
        let errors = errors(worldSize: 2) { communicator in
            let values = communicator.rank == 0 ? [("a", "b=c")] : [("a=b", "c")]
            try RankAgreement.verifySameConfiguration(values, on: communicator)
        }
        #expect(errors.allSatisfy { $0?.exitCode == 78 })
    }

    @Test func `Different weights name the first tensor, the step and the ranks`() {
        let errors = errors(worldSize: 4) { communicator in
            let odd: UInt64 = communicator.rank == 3 ? 1 : 0
            try RankAgreement.verifySameWeights(
                fingerprints: [7, 8 ^ odd, 9 ^ odd], names: ["wte.weight", "wpe.weight", "h.0.ln_1.weight"], step: 120,
                on: communicator)
        }
        for error in errors {
            #expect(error?.exitCode == 80)
            let text = error?.description ?? ""
            #expect(text.contains("after step 120, first in wpe.weight (2 of 3 tensors)"), "\(text)")
            #expect(
                text.contains("ranks {0,1,2} 0x0000000000000008, rank {3} 0x0000000000000009"), "\(text)")
        }
    }

    @Test func `Exchanged fingerprints are a difference`() {
        let errors = errors(worldSize: 2) { communicator in
            try RankAgreement.verifySameWeights(
                fingerprints: communicator.rank == 0 ? [1, 2] : [2, 1], names: ["a", "b"], step: 1, on: communicator)
        }
        #expect(errors.allSatisfy { $0?.description.contains("first in a (2 of 2 tensors)") == true })
    }

    @Test func `Any single changed bit is seen`() {
        for bit in 0..<64 {
            let errors = errors(worldSize: 2) { communicator in
                try RankAgreement.verifySameWeights(
                    fingerprints: [5, communicator.rank == 0 ? 0 : 1 << UInt64(bit), 6], names: ["a", "b", "c"],
                    step: 1, on: communicator)
            }
            #expect(errors.allSatisfy { $0?.exitCode == 80 }, "bit \(bit)")
        }
    }
}

struct AnyRankTests {
    @Test(arguments: 1...4)
    func `What holds on one rank is known to all`(worldSize: Int) throws {
        for holder in 0...worldSize {
            let answers = try ThreadWorld.run(worldSize: worldSize) { try $0.isAny($0.rank == holder) }
            #expect(answers == Array(repeating: holder < worldSize, count: worldSize))
        }
    }
}

struct RankAgreementListTests {
    /// A build of another time differs in much: the first eight are told and the rest counted.
    @Test func `Of many differences eight are told`() {
        for (count, hidden) in [(8, nil), (9, "; and 1 more;"), (20, "; and 12 more;")] as [(Int, String?)] {
            let outcomes = ThreadWorld.outcomes(worldSize: 2) { communicator in
                try RankAgreement.verifySameConfiguration(
                    (0..<count).map { ("--option-\($0)", "\(communicator.rank)") }, on: communicator)
            }
            for outcome in outcomes {
                guard case .failure(let error as RankDisagreement) = outcome else {
                    Issue.record("\(outcome)")
                    continue
                }
                #expect(error.description.components(separatedBy: "rank {0} --option-").count == 9)
                #expect(error.description.contains("; and ") == (hidden != nil))
                if let hidden { #expect(error.description.contains(hidden), "\(error)") }
            }
        }
    }

    @Test func `Ranks with fewer tensors are told apart`() {
        let outcomes = ThreadWorld.outcomes(worldSize: 3) { communicator in
            let all: [UInt64] = [1, 2, 3]
            let own = communicator.rank == 1 ? Array(all.prefix(2)) : all
            try RankAgreement.verifySameWeights(
                fingerprints: own, names: Array(["a", "b", "c"].prefix(own.count)), step: 9, on: communicator)
        }
        for outcome in outcomes {
            guard case .failure(let error as RankDisagreement) = outcome else {
                Issue.record("\(outcome)")
                continue
            }
            #expect(error.exitCode == 80 && error.description.contains("after step 9"), "\(error)")
            #expect(error.description.contains("rank {1} none"), "\(error)")
        }
    }
}
