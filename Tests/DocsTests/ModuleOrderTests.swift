import Foundation
import Testing

/// Which module may import which.
@Suite struct ModuleOrderTests {
    /// The modules of this package from the bottom to the top, as Package.swift lists them.
    private static let order: [String] = ((try? Pages.text("Package.swift")) ?? "")
        .matches(of: /(?:library\(|executableTarget\(|\.target\()\s*(?:name: )?"(\w+)"/).map { String($0.1) }
        .filter { Pages.exists("Sources/\($0)") }

    @Test("W3: a module imports only what stands before it") func imports() throws {
        #expect(Self.order.count > 10 && Self.order.last == "swiftlet", "\(Self.order)")
        for (place, module) in Self.order.enumerated() {
            for path in Pages.paths(under: "Sources/" + module) where path.hasSuffix(".swift") {
                for match in try Pages.text(path).matches(of: /(?m)^(?:\w+ )?import (?:\w+ )?(\w+)/) {
                    guard let other = Self.order.firstIndex(of: String(match.1)) else { continue }
                    #expect(other < place, "\(path) imports \(match.1)")
                }
            }
        }
    }

    @Test("W3: architecture's table has them from the top to the bottom") func table() throws {
        let table = try #require(
            Pages.tables.first { $0.page == "docs/architecture.md" && $0.header.first == "module" })
        let shown = table.rows.flatMap { Pages.code(in: $0[0]) }.filter(Self.order.contains)
        #expect(Set(shown) == Set(Self.order))
        // No row imports one above it.
        for (row, module) in shown.enumerated() {
            let imported = try Pages.paths(under: "Sources/" + module).filter { $0.hasSuffix(".swift") }.flatMap {
                try Pages.text($0).matches(of: /(?m)^(?:\w+ )?import (?:\w+ )?(\w+)/).map { String($0.1) }
            }
            #expect(shown[..<row].allSatisfy { !imported.contains($0) }, "\(module)")
        }
    }

    @Test func everyModuleHasAShortPage() throws {
        for module in Self.order {
            let page = try Pages.text("Sources/\(module)/README.md")
            #expect(page.hasPrefix("# \(module)\n") && page.contains("\nStart with "), "\(module)")
            #expect(page.split(separator: "\n", omittingEmptySubsequences: false).count <= 13, "\(module)")
            for name in Pages.code(in: page) where name.hasSuffix(".swift") {
                let isThere = ["Sources/\(module)/", "Sources/Basics/"].contains { Pages.exists($0 + name) }
                #expect(isThere || name.hasPrefix("+"), "\(name) in the page of \(module)")
            }
        }
    }
}
