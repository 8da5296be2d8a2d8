import Basics
import Glibc
import Testing
import TokenData

/// Which text becomes validation data: as much as was asked for, not chosen by size, whole characters, nothing twice.
@Suite struct CorpusSplitTests {
    private let inputs: TemporaryDirectory
    private let outputs: TemporaryDirectory

    init() throws {
        inputs = try TemporaryDirectory()
        outputs = try TemporaryDirectory()
    }

    private struct Parts {
        let train: [[UInt8]], validation: [[UInt8]]
        let warnings: [String]
        /// The bytes of validation text among all.
        var share: Double {
            let (train, validation) = (train.joined().count, validation.joined().count)
            return Double(validation) / Double(train + validation)
        }
    }

    /// The documents of both sides.
    private func split(_ texts: [String: [UInt8]], _ fraction: Double) throws -> Parts {
        let (inputs, outputs) = (try TemporaryDirectory(), try TemporaryDirectory())
        for (name, text) in texts { try inputs.write(name, text) }
        let output = CorpusOutput(path: outputs.folder)
        let source = try CorpusSource(paths: [inputs.folder], output: output)
        let summary = try CorpusTokenizer(source: source, output: output, validationFraction: fraction, threads: 1)
            .run(tokenizer: nil, trainer: BPETrainer(vocabularySize: 257))
        func documents(_ paths: [FilePath]) throws -> [[UInt8]] {
            let stream = try TokenStream(paths: paths)
            var ids = [Int32](repeating: 0, count: stream.tokenCount)
            var span = ids.mutableSpan
            try stream.copyTokens(from: 0, into: &span, 0..<stream.tokenCount)
            return ids.split(separator: 0).map { summary.tokenizer.decode($0) }
        }
        return Parts(
            train: try documents(summary.trainPaths), validation: try documents(summary.validationPaths),
            warnings: summary.warnings)
    }

    private func prose(_ count: Int, _ seed: UInt64, letters: String = "abcdefgh") -> [UInt8] {
        var random = SeededGenerator(state: seed)
        var text = ""
        while text.utf8.count < count {
            text += String(
                (0..<Int.random(in: 1..<9, using: &random)).map { _ in letters.randomElement(using: &random)! })
            text += ["\n", "\n\n", " ", " ", " ", " ", " "].randomElement(using: &random)!
        }
        return Array(text.utf8.prefix(count))
    }

    @Test("S5: five books and twenty notes in another script") func booksAndNotes() throws {
        var texts: [String: [UInt8]] = [:]
        for index in 0..<5 { texts["book\(index).txt"] = prose(40_000, UInt64(index)) }
        for index in 0..<20 { texts["note\(index).md"] = prose(500, UInt64(100 + index), letters: "абвгдежз") }
        let parts = try split(texts, 0.1)
        #expect(abs(parts.share - 0.1) < 0.01, "\(parts.share)")
        for side in [parts.train, parts.validation] {
            #expect(side.contains { $0.contains(0xD0) } && side.contains { !$0.contains(0xD0) })
        }
        #expect(parts.warnings.isEmpty, "\(parts.warnings)")
    }

    @Test("S5: 25 files of 10 KB and one of 20 bytes at 3 %") func aSmallShareOfLargeFiles() throws {
        var texts: [String: [UInt8]] = ["small.txt": prose(20, 1)]
        for index in 0..<25 { texts["\(index).txt"] = prose(10_000, UInt64(index + 2)) }
        let parts = try split(texts, 0.03)
        #expect(abs(parts.share - 0.03) < 0.003, "\(parts.share)")
    }

    @Test("S5: one document more changes nothing", arguments: [1, 2, 19, 20, 21, 200]) func anyNumber(count: Int) throws
    {
        let texts = Dictionary(uniqueKeysWithValues: (0..<count).map { ("\($0).txt", prose(4000, UInt64($0))) })
        let parts = try split(texts, 0.1)
        #expect(abs(parts.share - 0.1) < 0.01, "\(parts.share)")
        // Whole documents as far as they are samples of the whole.
        let whole = Set(texts.values)
        #expect(parts.validation.filter { !whole.contains($0) }.count <= 1)
    }

    @Test("S6: a text without blanks is cut between characters", arguments: ["日本語", "é", "𝟗🚀", "aé"])
    func charactersStayWhole(letters: String) throws {
        for length in 3000..<3012 {
            let text = String(String(repeating: letters, count: length).prefix(length))
            let parts = try split(["a.txt": Array(text.utf8)], 0.1)
            for part in parts.train + parts.validation { #expect(String(validating: part, as: UTF8.self) != nil) }
            #expect(parts.train + parts.validation == [parts.train[0], parts.validation[0]])
            #expect(parts.train[0] + parts.validation[0] == Array(text.utf8))
            #expect(abs(parts.share - 0.1) < 0.01, "\(parts.share)")
        }
    }

    /// 30 corpora at random: within a tenth of what was asked, nothing lost, no text on both sides, the same again.
    @Test("S5: any corpus", arguments: 0..<30) func anyCorpus(seed: Int) throws {
        var random = SeededGenerator(state: UInt64(seed))
        let count = [1, 2, 3, 5, 12, 19, 20, 30, 80, 300].randomElement(using: &random)!
        let scale = Double.random(in: 6...10, using: &random)
        let spread = Double.random(in: 0...2.5, using: &random)
        let letters = ["abcdefgh", "日本語テキスト", "абвгд"].randomElement(using: &random)!
        var texts: [String: [UInt8]] = [:]
        for index in 0..<count {
            let size = exp2(scale * 1.4 + spread * Double.random(in: -1...1, using: &random))
            texts["\(index).txt"] = prose(max(1, Int(size)), UInt64(1000 * seed + index), letters: letters)
            if Int.random(in: 0..<8, using: &random) == 0 { texts["copy\(index).txt"] = texts["\(index).txt"] }
        }
        let total = texts.values.reduce(0) { $0 + $1.count }
        // Of less than some thousand bytes, a tenth of the share is less than a word.
        let fraction = max([0.01, 0.03, 0.1, 0.2, 0.5].randomElement(using: &random)!, 500 / Double(total))
        guard fraction < 0.9 else { return }
        let parts = try split(texts, fraction)
        #expect(
            abs(parts.share / fraction - 1) < 0.1, "\(parts.share) of \(fraction), \(count) documents, \(total) bytes")
        #expect(parts.train.joined().count + parts.validation.joined().count == total)
        let long = Set(parts.validation.filter { $0.count > 100 })
        #expect(long.isDisjoint(with: parts.train))
        let again = try split(texts, fraction)
        #expect(again.train == parts.train && again.validation == parts.validation)
    }

    @Test("S5: a kind of file that has none in training is named") func kindsWithoutTrainingAreNamed() throws {
        // Whichever documents are drawn: at a share this large, some of the single ones are.
        var texts: [String: [UInt8]] = [:]
        for index in 0..<60 { texts["\(index).kind\(index)"] = prose(1000, UInt64(index)) }
        texts["greek.txt"] = prose(1000, 99, letters: "αβγδε")
        let parts = try split(texts, 0.5)
        let warning = try #require(parts.warnings.first)
        #expect(warning.contains("all of these is validation text"))
        let named = (0..<60).filter { warning.contains(".kind\($0) files") }
        let drawn = (0..<60).filter { parts.validation.contains(texts["\($0).kind\($0)"]!) }
        #expect(named == drawn && drawn.count > 20)
        let greek = texts["greek.txt"]!
        #expect(warning.contains("text in Greek script") == parts.validation.contains(greek))
    }

    /// The first and the last letters of each range of code points, in a document each, of which half are drawn.
    @Test(
        "S5: every writing system by its letters",
        arguments: [
            [
                "Latin": 0x41, "other": 0x250, "Greek": 0x370, "Cyrillic": 0x400, "Armenian": 0x531, "Hebrew": 0x5D0,
                "Arabic": 0x620, "Indic": 0x904, "Thai": 0xE01, "Georgian": 0x10A0, "Korean": 0x1100,
                "Chinese or Japanese": 0x3041,
            ],
            [
                "Latin": 0x24F, "other": 0x2EE, "Greek": 0x3FF, "Cyrillic": 0x52F, "Armenian": 0x588, "Hebrew": 0x5F2,
                "Arabic": 0x77F, "Indic": 0xDC6, "Thai": 0xE46, "Georgian": 0x10FF, "Korean": 0x11FF,
                "Chinese or Japanese": 0x9FA5,
            ],
            [
                "Latin": 0x1E00, "Greek": 0x1F00, "Korean": 0xAC00, "other": 0x1200, "Chinese or Japanese": 0x4E2D,
                "Thai": 0xE02,
            ],
            [
                "Latin": 0x1EFF, "Greek": 0x1FFC, "Korean": 0xD7A3, "other": 0xA000, "Cyrillic": 0x44F, "Arabic": 0x628,
            ],
        ] as [[String: UInt32]])
    func writingSystems(letters: [String: UInt32]) throws {
        var seen: Set<String> = []
        for salt in 10..<26 {
            let texts = letters.mapValues { letter in
                let bytes = Array(String(Character(Unicode.Scalar(letter) ?? "?")).utf8)
                return Array(repeatElement(bytes, count: 600 / bytes.count).joined()) + Array("\(salt)".utf8)
                    + [UInt8](repeating: 0x2E, count: 600)
            }
            let files = Dictionary(uniqueKeysWithValues: texts.map { ("\($0.key).txt", $0.value) })
            let parts = try split(files, 0.5)
            let named = letters.keys.filter { name in
                parts.warnings.contains { $0.contains("text in \(name) script") }
            }
            #expect(Set(named) == Set(letters.keys.filter { parts.validation.contains(texts[$0] ?? []) }))
            seen.formUnion(named)
        }
        #expect(seen == Set(letters.keys))
    }

    @Test func aTinyValidationTextIsSaid() throws {
        let parts = try split(["a.txt": prose(2000, 1)], 0.1)
        #expect(parts.warnings.contains { $0.contains("not one sequence of 256") }, "\(parts.warnings)")
        #expect(try split(["a.txt": prose(20_000, 1)], 0.1).warnings.isEmpty)
        #expect(try split(["a.txt": prose(2000, 1)], 0).warnings.isEmpty)
        // Half of the text behind a mark: 256 tokens have no 256 targets, 257 have.
        for (count, warns) in [(510, true), (512, false)] {
            let parts = try split(["a.txt": [UInt8](repeating: 0x61, count: count)], 0.5)
            #expect(parts.validation.joined().count == count / 2)
            #expect(parts.warnings.contains { $0.contains("has 256 tokens") } == warns, "\(parts.warnings)")
            #expect(parts.warnings.isEmpty != warns)
        }
    }

    /// The middle of 20,000 bytes is the place, and 629 to either side are in reach.
    @Test(
        "The best place in reach, the nearest of equals",
        arguments: [
            ([:], 10_000), ([9990: " "], 10_010), ([9990: " ", 9900: "\n"], 10_099),
            ([9990: " ", 9900: "\n", 9800: "\n\n"], 10_198),
            ([9990: " ", 9900: "\n", 9800: "\n\n", 9500: "<|endoftext|>"], 10_487),
            ([9990: "\n", 10_005: "\n"], 9994), ([9370: "\n"], 10_000), ([9371: "\n"], 10_628),
            ([10_628: "\n"], 9371), ([10_629: "\n"], 10_000),
        ] as [([Int: String], Int)])
    func placesToCut(marks: [Int: String], validation: Int) throws {
        var text = [UInt8](repeating: 0x61, count: 20_000)
        for (place, mark) in marks { text.replaceSubrange(place..<place + mark.utf8.count, with: mark.utf8) }
        #expect(try split(["a.txt": text], 0.5).validation.joined().count == validation)
    }

    /// Whatever the share, something is left to learn from.
    @Test(arguments: [0.5, 0.9, 0.97, 0.999], [1, 2, 30]) func trainingIsNeverEmpty(fraction: Double, count: Int) throws
    {
        let texts = Dictionary(uniqueKeysWithValues: (0..<count).map { ("\($0).txt", prose(3000, UInt64($0))) })
        let parts = try split(texts, fraction)
        #expect(!parts.train.isEmpty)
        #expect(abs((1 - parts.share) / (1 - fraction) - 1) < 0.3, "\(parts.share)")
    }

    /// The mark between stories is the best place to cut.
    @Test func storiesStayWhole() throws {
        let stories = (0..<400).map { String(decoding: prose(120, UInt64($0), letters: "abcdefgh"), as: UTF8.self) }
        let parts = try split(["a.txt": Array(stories.joined(separator: "<|endoftext|>").utf8)], 0.1)
        #expect((parts.train + parts.validation).map { String(decoding: $0, as: UTF8.self) } == stories)
        #expect(abs(parts.share - 0.1) < 0.01)
    }
}
