import Foundation
import Optimization
import TestSupport
import Testing

// Tables about the tree itself: modules, folders, tests, formulas.

extension TableChecks {
    static let pages: [String: Check] = [
        "README.md › Where things live › folder | holds": { table in
            for row in table.rows {
                for path in Pages.code(in: row[0]) { #expect(Pages.exists(path), "\(path)") }
                for link in row[1].matches(of: /\]\(([^)#]+)\)/) { #expect(Pages.exists(String(link.1)), "\(link.1)") }
                for file in Pages.code(in: row[1]) where file.hasSuffix(".swift") {
                    #expect(Pages.exists(Pages.code(in: row[0])[0] + "/" + file), "\(file)")
                }
            }
            // Every module stands in some row, but the ones that are headers of system libraries.
            let named = Set(table.rows.flatMap { Pages.code(in: $0[0]) })
            for module in modules where !isHeaderOnly(module) {
                #expect(named.contains("Sources/" + module) || module == "Basics", "\(module) is in no row")
            }
        },
        "docs/architecture.md › Layers › module | what it is | may touch": { table in
            let named = table.rows.flatMap { Pages.code(in: $0[0]) }
            #expect(Set(named) == Set(modules), "modules are the folders of Sources")
            #expect(named.count == modules.count)
            // The rows go from top to bottom, Package.swift's list from bottom to top: nothing stands above what uses it.
            let imports = try Dictionary(uniqueKeysWithValues: modules.map { ($0, try importsOf($0)) })
            for (place, module) in named.enumerated() where !isHeaderOnly(module) {
                for used in imports[module] ?? [] where named.contains(used) {
                    let other = named.firstIndex(of: used) ?? 0
                    #expect(other > place, "\(module) imports \(used), which stands above it")
                }
            }
            // What a row says that only it may touch.
            for module in modules where module != "MPICollectives" {
                #expect(imports[module]?.contains("CMPI") != true, "\(module) imports CMPI")
            }
        },
        "docs/architecture.md › Invariants, and the tests that hold them › invariant | tests (`Tests/…`)": { table in
            for row in table.rows {
                var target = ""
                for name in Pages.code(in: row[1]) {
                    let parts = name.split(separator: "/").map(String.init)
                    if parts.count == 2 || Pages.exists("Tests/" + name) { target = parts[0] }
                    let path = parts.count == 2 ? name : target == name ? name : target + "/" + name
                    #expect(
                        Pages.exists("Tests/\(path)") || Pages.exists("Tests/\(path).swift"),
                        "\(name) of '\(row[0])' is no test")
                }
                #expect(!Pages.code(in: row[1]).isEmpty || row[1].contains("tests of each module"), "\(row)")
            }
        },
        "docs/schedule.md › The formula › `--schedule` | λ(k)": { table in
            let names = table.rows.map { Pages.code(in: $0[0]) }
            #expect(
                names.map { $0.joined(separator: " ") }
                    == LearningRateSchedule.Kind.allCases.map(\.rawValue) + ["wsd --decay-shape linear"])
            for (row, name) in zip(table.rows, names) {
                let kind = try #require(LearningRateSchedule.Kind(rawValue: name[0]))
                try checkFactor(kind, name.count > 1 ? .linear : .sqrt, row[1])
            }
        },
        "docs/schedule.md › What the log shows › step | 10 | 20 | 30 | 50 | 90 | 100 | 350 | 360 | 540 | 550 | 590": {
            table in
            let schedule = try LearningRateSchedule(base: 3e-4, warmupSteps: 100, totalSteps: 10_000)
            let rates = table.rows[0].dropFirst()
            #expect(table.rows.count == 1 && table.rows[0][0] == "lr")
            for (step, rate) in zip(table.header.dropFirst(), rates) {
                let value = schedule.rate(at: try #require(Int(step)))
                #expect(String(format: "%.6f", value) == rate, "step \(step)")
            }
        },
    ]

    /// The folders of Sources.
    static let modules: [String] = (try? FileManager.default.contentsOfDirectory(atPath: Pages.root + "/Sources")) ?? []

    private static func isHeaderOnly(_ module: String) -> Bool {
        !Pages.paths(under: "Sources/" + module).contains { $0.hasSuffix(".swift") || $0.hasSuffix(".c") }
    }

    private static func importsOf(_ module: String) throws -> Set<String> {
        var found: Set<String> = []
        for path in Pages.paths(under: "Sources/" + module) where path.hasSuffix(".swift") {
            for line in try Pages.text(path).split(separator: "\n") where line.hasPrefix("import ") {
                found.insert(String(line.dropFirst("import ".count)))
            }
        }
        return found
    }

    /// Works the formula of a row out, and the page's own definition of lr(k) around it, and compares with the code.
    private static func checkFactor(
        _ kind: LearningRateSchedule.Kind, _ shape: LearningRateSchedule.DecayShape, _ text: String
    ) throws {
        for (warmup, total, minimum, decay) in [
            (0, 10, 0.0, 4), (7, 50, 0.125, 10), (3, 4, 0.0, 1), (20, 100, 0.5, 80),
        ] {
            let schedule = try LearningRateSchedule(
                kind: kind, base: 2, warmupSteps: warmup, totalSteps: total, minimum: minimum,
                decaySteps: kind == .wsd ? decay : nil, decayShape: shape)
            for step in 0...total {
                var variables = ["k": Double(step), "W": Double(warmup), "S": Double(total), "D": Double(decay)]
                variables["base"] = 2
                variables["m"] = minimum
                let expected: Double
                if step < warmup {
                    expected = try Formula.value("base · (k + 1) / W", variables)
                } else if kind == .constant {
                    #expect(text == "the rate is the base; `--min-learning-rate` plays no part")
                    expected = 2
                } else {
                    var factor = text
                    if kind == .wsd {
                        let match = try #require(
                            text.firstMatch(of: #/^1 up to D steps before the end, then (.*), with D /#))
                        factor = step <= total - decay ? "1" : String(match.1)
                    }
                    variables["λ"] = try Formula.value(factor, variables)
                    expected = try Formula.value("m + (base − m) · λ", variables)
                }
                #expect((schedule.rate(at: step) - expected).magnitude < 1e-14, "\(kind) W \(warmup) k \(step)")
            }
        }
        let page = try Pages.text("docs/schedule.md")
        #expect(page.contains("lr(k) = base · (k + 1) / W                  for k < W"))
        #expect(page.contains("lr(k) = m + (base − m) · λ(k)               for W ≤ k ≤ S"))
    }
}
