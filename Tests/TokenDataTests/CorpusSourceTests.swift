import Basics
import Testing
import TokenData

/// What reading a file once says about it: text or not, whole characters, prose or not.
@Suite struct CorpusSourceTests {
    private let inputs: TemporaryDirectory

    init() throws { inputs = try TemporaryDirectory() }

    private func source() throws -> CorpusSource {
        try CorpusSource(paths: [inputs.folder], output: CorpusOutput(path: inputs.folder.appending("none")))
    }

    /// Files are read by the mebibyte.
    private static let piece = 1 << 20

    @Test("S12: a character that a read cuts anywhere is whole", arguments: 1...3) func cutCharacters(cut: Int) throws {
        let before = [UInt8](repeating: 0x61, count: Self.piece - cut)
        try inputs.write("a.txt", before + Array("🚀 and more".utf8))
        #expect(try source().doubts.isEmpty)
        #expect(try source().documents.map(\.byteCount) == [Self.piece - cut + 13])
        // Broken ones are none, at the same place.
        for broken in [[0xF0, 0x9F, 0x9A, 0x61], [0xF0, 0x61, 0x61, 0x61], [0xFF, 0x61, 0x61, 0x61]] as [[UInt8]] {
            try inputs.write("a.txt", before + broken)
            #expect(try source().doubts.map(\.count) == [1], "\(broken)")
        }
    }

    @Test("S12: each format by its first bytes, and nothing that only resembles it") func formats() throws {
        let compressed: [[UInt8]] = [
            [0x1F, 0x8B], [0x28, 0xB5, 0x2F, 0xFD], [0xFD, 0x37, 0x7A, 0x58, 0x5A], [0x42, 0x5A, 0x68],
        ]
        for (kind, starts) in [
            ("UTF-16", [[0xFF, 0xFE], [0xFE, 0xFF]]), ("compressed", compressed + [[0x50, 0x4B, 3, 4]]),
            ("Parquet", [[0x50, 0x41, 0x52, 0x31]]),
        ] as [(String, [[UInt8]])] {
            for start in starts {
                try inputs.write("a.txt", [0x61])
                try inputs.write("b.txt", start + [0x20])
                #expect(try source().leftOut.first?.kind.hasPrefix(kind) == true, "\(start)")
                try inputs.write("b.txt", start.dropLast() + [0x20])
                try inputs.write("a.txt", [0x20] + start)
                #expect(try source().leftOut.isEmpty, "\(start)")
            }
        }
    }

    @Test("S12: a NUL byte anywhere makes it binary") func binary() throws {
        try inputs.write("a.txt", [0x61])
        for place in [0, 1, Self.piece - 1, Self.piece, Self.piece + 1] {
            try inputs.write("b.txt", [UInt8](repeating: 0x61, count: place) + [0])
            #expect(try source().leftOut.first?.kind.hasPrefix("binary") == true, "\(place)")
        }
    }

    @Test("S12: every ending that is no prose, in capitals too") func endings() throws {
        for ending in ["json", "jsonl", "ndjson", "csv", "tsv", "JSON", "Csv"] {
            let directory = try TemporaryDirectory()
            try directory.write("a." + ending, Array("text".utf8))
            let source = try CorpusSource(
                paths: [directory.folder], output: CorpusOutput(path: directory.folder.appending("none")))
            #expect(source.doubts.map { $0.kind.hasPrefix(".\(ending), taken as prose") } == [true], "\(ending)")
            #expect(source.documents.count == 1)
        }
        for name in ["a.txt", "a.md", "csv", "a.json.txt", "tsv.py"] { try inputs.write(name, Array(name.utf8)) }
        #expect(try source().doubts.isEmpty)
    }
}
