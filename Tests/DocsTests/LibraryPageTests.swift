import Foundation
import TestSupport
import Testing

/// What other packages can use: every public declaration says what it is, and the pages know the names.
@Suite struct LibraryPageTests {
    static let libraries = ["SwiftletTokenizer", "SwiftletTraining"]

    /// A declaration of a symbol graph.
    struct Symbol {
        let path: String
        let isDocumented: Bool
    }

    /// The public declarations of a module, as the compiler lists them.
    private func symbols(of module: String) throws -> [Symbol] {
        let folder = NSTemporaryDirectory() + "swiftlet-symbols-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let swift = try #require(Subprocess.find("swift"), "there is no swift in PATH")
        let products = try BuildProducts.directory()
        let headers = ["CLinux", "CLibcrypto", "COneDNN", "CInstructions"]
            .map { Pages.root + "/Sources/" + $0 }
        let scratch = URL(fileURLWithPath: products).deletingLastPathComponent().deletingLastPathComponent().path
        let checkout = [scratch, scratch + "/.."].map { $0 + "/checkouts/swift-system/Sources/CSystem/include" }
            .filter(FileManager.default.fileExists(atPath:)).prefix(1)
        let info = try Subprocess.run(swift, ["-print-target-info"])
        let triple = try #require(info.standardOutput.firstMatch(of: /"triple": "([^"]+)"/)?.1)
        let outcome = try Subprocess.run(
            swift,
            [
                "symbolgraph-extract", "-module-name", module, "-minimum-access-level", "public",
                "-skip-synthesized-members", "-target", String(triple), "-output-dir", folder,
            ] + ([products + "/Modules"] + headers + checkout).flatMap { ["-I", $0] }
                + ["-Xcc", "-fmodule-map-file=\(products)/CMPI.build/module.modulemap"], timeout: 120)
        try #require(outcome.status == 0, "\(outcome)")
        let graph = try JSONSerialization.jsonObject(
            with: Data(contentsOf: URL(fileURLWithPath: folder + "/\(module).symbols.json")))
        let list = try #require((graph as? [String: Any])?["symbols"] as? [[String: Any]])
        return list.map { symbol in
            let path = (symbol["pathComponents"] as? [String] ?? []).joined(separator: ".")
            let lines = (symbol["docComment"] as? [String: Any])?["lines"] as? [[String: Any]] ?? []
            return Symbol(path: path, isDocumented: lines.contains { ($0["text"] as? String)?.isEmpty == false })
        }
    }

    /// Those that a protocol of the language documents.
    private static let known: Set<String> = ["==(_:_:)", "description", "hash(into:)"]

    @Test(arguments: libraries) func everyPublicDeclarationIsDocumented(module: String) throws {
        let symbols = try symbols(of: module)
        #expect(symbols.count > 10)
        let bare = symbols.filter {
            !$0.isDocumented && !Self.known.contains(String($0.path.split(separator: ".").last ?? ""))
        }
        #expect(bare.isEmpty, "without a comment: \(bare.map(\.path).joined(separator: ", "))")
    }

    @Test(arguments: libraries) func theLandingPageHasEveryType(module: String) throws {
        let page = try Pages.text("Sources/\(module)/\(module).docc/\(module).md")
        let library = try Pages.text("docs/library.md")
        #expect(page.hasPrefix("# ``\(module)``\n"))
        for symbol in try symbols(of: module) where !symbol.path.contains(".") {
            #expect(page.contains("- ``\(symbol.path)``"), "\(symbol.path) is not on the page of \(module)")
            #expect(library.contains("`\(symbol.path)`"), "\(symbol.path) is not in docs/library.md")
        }
        #expect(try Pages.text(".spi.yml").contains(module))
        #expect(
            try Pages.text("Package.swift").contains("library(\n            \"\(module)\"")
                || Pages.text("Package.swift").contains("library(\"\(module)\""))
    }

    /// What the page shows of the example is the example.
    @Test func theExampleIsTheOneOfThePage() throws {
        let page = try Pages.text("docs/library.md")
        let example = try Pages.text("Examples/TrainingLoop/Sources/main.swift")
        let blocks = page.components(separatedBy: "```swift\n").dropFirst()
            .compactMap { $0.components(separatedBy: "```").first }.filter {
                $0.contains("TokenSource") || $0.contains("RateSchedule")
            }
        #expect(blocks.count == 2)
        for block in blocks { #expect(example.contains(block), "\(block)") }
        #expect(example.split(separator: "\n").count <= 60, "the pages call it 60 lines")
    }
}
