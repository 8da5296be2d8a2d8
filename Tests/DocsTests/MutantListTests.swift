import Foundation
import TestSupport
import Testing

/// The list of edits that `make mutants` makes: a fast look that it has not been left behind by the code. The edits
/// themselves take hours.
@Suite struct MutantListTests {
    struct Mutant {
        var id = ""
        var fields: [String: String] = [:]
    }

    private func mutants() throws -> [Mutant] {
        var found: [Mutant] = []
        for line in try Pages.text("Tests/Mutants/mutants.txt").split(separator: "\n") {
            if line.hasPrefix("[") {
                found.append(Mutant(id: String(line.dropFirst().prefix { $0 != "]" })))
            } else if !line.hasPrefix("#") {
                // A field before the first id would give every edit another one's text.
                try #require(!found.isEmpty, "\(line)")
                let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                let value = parts.count > 1 ? String(parts[1].dropFirst()) : ""
                #expect(found[found.count - 1].fields.updateValue(value, forKey: String(parts[0])) == nil, "\(line)")
            }
        }
        return found
    }

    @Test func everyEditCanBeMade() throws {
        let mutants = try mutants()
        #expect(Set(mutants.map(\.id)).count == mutants.count, "ids are unique")
        #expect(mutants.count >= 80)
        let sources = Pages.paths(under: "Tests").filter { $0.hasSuffix(".swift") }
        let tests = try sources.map(Pages.text).joined(separator: "\n")
        for mutant in mutants {
            #expect(Set(mutant.fields.keys) == ["file", "old", "new", "test", "why"], "\(mutant)")
            guard let file = mutant.fields["file"], let old = mutant.fields["old"], let new = mutant.fields["new"]
            else { continue }
            #expect(!old.isEmpty && old != new, "\(mutant.id)")
            let text = (try? Pages.text(file)) ?? ""
            let count = text.components(separatedBy: old).count - 1
            #expect(count == 1, "\(mutant.id): '\(old)' occurs \(count) times in \(file)")
            for name in (mutant.fields["test"] ?? "").split(separator: " ") {
                let isSuite = tests.contains("struct \(name)") || tests.contains("class \(name)")
                #expect(isSuite || tests.contains("func \(name)("), "\(mutant.id): there is no test \(name)")
            }
        }
    }

    /// Every module, every launch script and the C shim are in the list.
    @Test func everyModuleHasAnEdit() throws {
        let files = try mutants().compactMap { $0.fields["file"] }
        for module in TableChecks.modules {
            let code = Pages.paths(under: "Sources/" + module).filter {
                [".swift", ".c", "ions.h"].contains(where: $0.hasSuffix)
            }
            #expect(code.isEmpty || files.contains { $0.hasPrefix("Sources/\(module)/") }, "\(module) has no edit")
        }
        for script in Pages.paths(under: "launch") where !script.hasSuffix(".md") {
            #expect(files.contains(script), "\(script) has no edit")
        }
    }
}
