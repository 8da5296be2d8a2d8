import Foundation
import TestSupport
import Testing

/// What the pages and scripts tell people to type exists.
@Suite struct OptionsTests {
    /// Options of other programs, by the program that has them.
    private static let foreign: [String: Set<String>] = [
        "mpirun": ["bind-to", "map-by", "oversubscribe", "hostfile"],
        "sbatch": [
            "nodes", "ntasks-per-node", "cpus-per-task", "time", "signal", "requeue", "open-mode", "job-name", "output",
        ],
        "swift": [
            "scratch-path", "skip-build", "build-tests", "filter", "static-swift-stdlib", "product", "strict", "target",
            "show-bin-path",
        ],
        "git": ["always", "dirty", "abbrev", "exclude"],
        "docc": [
            "additional-symbol-graph-dir", "fallback-display-name", "fallback-bundle-identifier", "warnings-as-errors",
            "output-path",
        ],
        "swiftlet": ["generate-completion-script"],
        "apt-get": ["no-install-recommends"], "pkg-config": ["exists"],
        "Tests/Reference": [
            "repetitions", "text", "only", "work", "seeds", "options", "picture", "peer", "rate", "tokens",
        ],
        "pip": ["quiet", "requirement"], "tensorboard": ["logdir"], "python3": ["help"],
        // The scripts' word for any option.
        "launch": ["name"],
    ]

    private static let texts: [String] =
        Pages.all + Pages.paths(under: "launch").filter { !$0.hasSuffix(".md") } + ["Makefile", ".ci/run"]

    @Test(arguments: texts)
    func everyOptionExists(path: String) throws {
        let own = try Program.allOptions.get()
        #expect(own.count >= 6 && own["train"]?.count ?? 0 > 30, "\(own)")
        let known = own.values.reduce(into: Set<String>()) { $0.formUnion($1) }
            .union(Self.foreign.values.reduce(into: Set<String>()) { $0.formUnion($1) })
        for match in try Pages.text(path).matches(of: /(?:^|[^A-Za-z0-9-])--([a-z][a-z0-9-]*)/) {
            #expect(known.contains(String(match.1)), "--\(match.1) in \(path) is an option of nothing")
        }
    }

    /// Commands in blocks of code: the options of the subcommand that they call.
    @Test(arguments: Pages.all)
    func everyCommandHasItsOptions(page: String) throws {
        let own = try Program.allOptions.get()
        let foreign = Self.foreign.values.reduce(into: Set<String>()) { $0.formUnion($1) }
        for command in try commands(in: page) {
            let words = command.split(separator: " ").map(String.init)
            guard let place = words.firstIndex(where: { own[$0] != nil }),
                words[..<place].contains(where: { $0.contains("swiftlet") || $0.hasPrefix("launch/") })
            else { continue }
            for word in words[place...] where word.hasPrefix("--") {
                let name = String(word.dropFirst(2).split(separator: "=")[0])
                #expect(own[words[place]]?.contains(name) == true, "\(word) in '\(command)'")
            }
            for word in words[..<place] where word.hasPrefix("--") && word != "--" {
                #expect(foreign.contains(String(word.dropFirst(2))), "\(word) in '\(command)'")
            }
        }
    }

    @Test(arguments: Pages.all)
    func everyMakeTargetExists(page: String) throws {
        let makefile = try Pages.text("Makefile")
        for match in try Pages.text(page).matches(of: /(?:`|    )(?:[A-Z_]+=\S+ )?make ([a-z]+)/) {
            #expect(makefile.contains("\n\(match.1): "), "make \(match.1) in \(page)")
        }
        for match in try Pages.text(page).matches(of: /(?:`|    )make [a-z]+ ([A-Z_]+)=/) {
            #expect(makefile.contains("\n\(match.1) ?=") || makefile.contains("$(\(match.1))"), "\(match.1) in \(page)")
        }
    }

    /// Links inside the tree.
    @Test(arguments: Pages.all)
    func everyLinkLeadsSomewhere(page: String) throws {
        let folder = page.split(separator: "/").dropLast().joined(separator: "/")
        for match in try Pages.text(page).matches(of: /\]\(([^)\s]+)\)/) where !match.1.contains("://") {
            let path = match.1.split(separator: "#", omittingEmptySubsequences: false)[0]
            #expect(
                path.isEmpty || Pages.exists(folder.isEmpty ? String(path) : "\(folder)/\(path)"),
                "\(match.1) in \(page)")
        }
    }

    /// Lines of indented code that are commands, those that go on in the next line put together.
    private func commands(in page: String) throws -> [String] {
        var found: [String] = []
        var goesOn = false
        for line in try Pages.text(page).split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix("    ") else {
                goesOn = false
                continue
            }
            var text = line.trimmingCharacters(in: .whitespaces)
            let more = text.hasSuffix("\\")
            if more { text.removeLast() }
            if goesOn {
                found[found.count - 1] += text
            } else {
                found.append(text)
            }
            goesOn = more
        }
        return found
    }
}
