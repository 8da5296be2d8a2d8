import Basics
import Collectives
import Kernels

/// Checks that all ranks run the same thing and hold the same weights.
///
/// Each check is a collective and its verdict is the same on every rank: all return, or all throw the same error.
package enum RankAgreement {
    /// Compares the ranks' configurations at start.
    ///
    /// - Parameter values: names with values as text, in the order in which differences are told. A rank that lacks a
    ///   name that another one has differs from it.
    /// - Throws: `RankDisagreement` (exit code 78) with the ranks by value:
    ///   `ranks {0,1,3} --global-batch=16, rank {2} --global-batch=8`; `CollectiveError`.
    package static func verifySameConfiguration(
        _ values: [(name: String, value: String)], on communicator: any Communicator
    ) throws {
        guard communicator.worldSize > 1 else { return }
        let own = encode(values.flatMap { [$0.name, $0.value] })
        let gathered = try communicator.gather(own, root: 0)
        let verdict = try communicator.broadcast(message: configurationVerdict(gathered.map(decode)))
        if !verdict.isEmpty { throw RankDisagreement(exitCode: 78, description: verdict) }
    }

    /// Compares a fingerprint of each tensor during the run. One small allreduce while all agree; only when they do not
    /// are the fingerprints gathered.
    ///
    /// - Parameters:
    ///   - fingerprints: one hash a tensor, from the bits of its weights.
    ///   - names: the tensors' names, in the same order.
    ///   - step: the finished optimizer steps, for the message.
    /// - Throws: `RankDisagreement` (exit code 80) naming the first tensor that differs and the ranks; `CollectiveError`.
    package static func verifySameWeights(
        fingerprints: [UInt64], names: [String], step: Int, on communicator: any Communicator
    ) throws {
        precondition(fingerprints.count == names.count, "\(fingerprints.count) fingerprints of \(names.count) tensors")
        guard communicator.worldSize > 1 else { return }
        // The largest of ~x is ~ of the smallest x: one allreduce gives both ends.
        let combined = Int64(bitPattern: fingerprints.reduce(UInt64(fingerprints.count), Fingerprint.combine))
        var ends = [combined, ~combined]
        var span = ends.mutableSpan
        try communicator.allReduce(&span, .maximum)
        guard ends[0] != ~ends[1] else { return }

        let gathered = try communicator.gather(encode(fingerprints.map { "0x" + hexadecimal($0) }), root: 0)
        let verdict = try communicator.broadcast(message: weightVerdict(gathered.map(decode), names, step))
        throw RankDisagreement(exitCode: 80, description: verdict)
    }

    // Rank 0 alone makes the text; an empty one means that all agree.

    private static func configurationVerdict(_ ranks: [[String]]) -> String {
        var order: [String] = []
        let tables = ranks.map { list in
            var table: [String: String] = [:]
            for index in stride(from: 0, to: list.count - 1, by: 2) {
                if !order.contains(list[index]) { order.append(list[index]) }
                table[list[index]] = list[index + 1]
            }
            return table
        }
        let differences = order.compactMap { name -> String? in
            let values = tables.map { $0[name] }
            guard values.contains(where: { $0 != values[0] }) else { return nil }
            return RankDisagreement.groups(values.map { $0.map { "\(name)=\($0)" } ?? "without \(name)" })
        }
        guard !differences.isEmpty else { return "" }
        let shown = differences.prefix(mostShown).joined(separator: "; ")
        let hidden = differences.count > mostShown ? "; and \(differences.count - mostShown) more" : ""
        return "the ranks disagree at start: \(shown)\(hidden); start every rank with the same options, files and build"
    }

    private static func weightVerdict(_ ranks: [[String]], _ names: [String], _ step: Int) -> String {
        guard !ranks.isEmpty else { return "" }
        let differing = names.indices.filter { index in
            ranks.contains { !$0.indices.contains(index) || $0[index] != ranks[0][index] }
        }
        let advice = "go on from the last checkpoint, and check the memory of the ranks that stand alone"
        guard let first = differing.first else {
            return "weights differ between ranks after step \(step): "
                + RankDisagreement.groups(ranks.map { "\($0.count) tensors" }) + "; \(advice)"
        }
        let values = ranks.map { $0.indices.contains(first) ? $0[first] : "none" }
        return "weights differ between ranks after step \(step), first in \(names[first]) "
            + "(\(differing.count) of \(names.count) tensors): \(RankDisagreement.groups(values)); \(advice)"
    }

    private static let mostShown = 8

    private static func encode(_ strings: [String]) -> [UInt8] {
        Array(JSONText.array(strings.map { .string($0) }).text.utf8)
    }

    private static func decode(_ bytes: [UInt8]) -> [String] {
        (try? JSON(bytes))?.elements?.compactMap(\.string) ?? []
    }
}

/// The ranks do not agree: what differs, and which ranks have which value. Thrown on every rank, with the same text.
package struct RankDisagreement: ExitCoded, Equatable {
    /// 78 for a disagreement at start, 80 for weights that have diverged.
    package let exitCode: ExitCode
    /// The one line to print.
    package let description: String

    /// Ranks by their value, in order of each value's first rank: `ranks {0,1,3} --seed=1, rank {2} --seed=2`.
    static func groups(_ values: [String]) -> String {
        var groups: [(value: String, ranks: [String])] = []
        for (rank, value) in values.enumerated() {
            if let place = groups.firstIndex(where: { $0.value == value }) {
                groups[place].ranks.append("\(rank)")
            } else {
                groups.append((value, ["\(rank)"]))
            }
        }
        return groups.map {
            "\($0.ranks.count == 1 ? "rank" : "ranks") {\($0.ranks.joined(separator: ","))} \($0.value)"
        }.joined(separator: ", ")
    }
}
