import Testing
import Training

// Tables about options: what the table of the code says.

extension TableChecks {
    static let options: [String: Check] = [
        "docs/operations.md › Restart › at a resume | options": { table in
            let roles: [OptionRole] = [.identity, .schedule, .tuning]
            #expect(table.rows.count == roles.count + 1)
            for (row, role) in zip(table.rows, roles) {
                let named = Pages.code(in: row[1]).filter { $0.hasPrefix("--") }
                #expect(named == TrainingConfiguration.options.filter { $0.role == role }.map { "--" + $0.name })
            }
        },
        "docs/recipes.md › What they set › option | gpt2 | modern": { table in
            var configuration = TrainingConfiguration()
            (configuration.steps, configuration.contextLength) = (120, 256)
            for (column, recipe) in [(1, Recipe.gpt2), (2, .modern)] {
                let all = [("architecture", recipe.architecture.rawValue)] + recipe.settings(for: configuration)
                let named = table.rows.filter { !$0[column].isEmpty }.flatMap { Pages.code(in: $0[0]) }
                #expect(named.sorted() == all.map { "--" + $0.0 }.sorted())
                for row in table.rows {
                    // What depends on the run is told in words.
                    guard let value = Pages.code(in: row[column]).first else { continue }
                    #expect(all.contains { row[0] == "`--\($0.0)`" && $0.1 == value }, "\(row)")
                }
            }
        },
        "docs/architecture.md › Options › role | all ranks alike | kept in checkpoints | at a resume": { table in
            let roles: [OptionRole] = [.identity, .schedule, .tuning, .rhythm, .place]
            #expect(table.rows.flatMap { Pages.code(in: $0[0]) } == roles.map { "\($0)" })
            var all = TrainingConfiguration()
            // Without a value an option is in no list.
            for name in ["val-data", "init-from", "trace"] { try all.set(name, "x") }
            for name in [
                "kv-heads", "head-size", "vocab-size", "inner-size", "rope-theta", "soft-cap", "decay-steps",
                "stop-after", "stop-after-no-improvement", "rewarm", "sample-interval", "sample-prompt",
            ] { try all.set(name, "3") }
            try all.set("activation", "relu")
            try all.set("recipe", "modern")
            for name in ["norm-epsilon", "decay-share", "embedding-dropout", "attention-dropout", "residual-dropout"] {
                try all.set(name, "0.5")
            }
            let (compared, kept) = (all.comparedOverRanks.map(\.name), all.keptInCheckpoints.map(\.name))
            for (row, role) in zip(table.rows, roles) {
                let names = Set(
                    TrainingConfiguration.options.filter { $0.role == role && $0.successor == nil }.map(\.name))
                #expect(names.count > 1)
                #expect(names.isSubset(of: compared) == (row[1] == "yes"), "\(role)")
                #expect(names.isDisjoint(with: compared) == (row[1] == "no"), "\(role)")
                #expect(names.isSubset(of: kept) == (row[2] == "yes"), "\(role)")
                #expect(names.isDisjoint(with: kept) == (row[2] != "yes"), "\(role)")
            }
        },
    ]
}
