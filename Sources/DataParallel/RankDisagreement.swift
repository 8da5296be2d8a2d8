import Basics

/// The ranks do not agree: what differs, and which ranks have which value. Thrown on every rank, with the same text.
package struct RankDisagreement: ExitCoded, Equatable {
    /// 78 for a disagreement at start, 80 for weights that have diverged.
    package let exitCode: ExitCode
    /// The one line to print.
    package let description: String

    package init(exitCode: ExitCode, description: String) {
        self.exitCode = exitCode
        self.description = description
    }

    /// Ranks by their value, in order of each value's first rank: `ranks {0,1,3} --seed=1, rank {2} --seed=2`.
    static func groups(_ values: [String]) -> String {
        var order: [String] = []
        var ranks: [String: [Int]] = [:]
        for (rank, value) in values.enumerated() {
            if ranks[value] == nil { order.append(value) }
            ranks[value, default: []].append(rank)
        }
        return order.map { value in
            let members = ranks[value] ?? []
            return
                "\(members.count == 1 ? "rank" : "ranks") {\(members.map(String.init).joined(separator: ","))} \(value)"
        }.joined(separator: ", ")
    }
}
