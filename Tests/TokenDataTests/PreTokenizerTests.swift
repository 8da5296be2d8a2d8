import Basics
import Testing
import TokenData

/// GPT-2's split: examples, the pattern itself as an oracle, Unicode's tables, broken bytes, safe cuts.
@Suite struct PreTokenizerTests {
    private let splitter = PreTokenizer()

    private func pieces(_ text: String) -> [String] {
        let bytes = Array(text.utf8)
        return splitter.split(bytes).map { String(decoding: bytes[$0], as: UTF8.self) }
    }

    @Test(arguments: [
        ("  two  spaces", [" ", " two", " ", " spaces"]),
        ("a\n\n b", ["a", "\n\n", " b"]),
        ("a \n", ["a", " \n"]),
        ("it's I'LL we'll 'tis", ["it", "'s", " I", "'", "LL", " we", "'ll", " '", "tis"]),
        ("½ ²", ["½", " ²"]),
        ("a\u{301}b", ["a", "\u{301}", "b"]),
        ("   ", ["   "]),
        ("\r\n\r\nx", ["\r\n\r", "\n", "x"]),
        ("''s", ["''", "s"]),
        ("'re've'm'd't'", ["'re", "'ve", "'m", "'d", "'t", "'"]),
        ("\u{A0}x \u{200B}", ["\u{A0}", "x", " \u{200B}"]),
        ("a1 2b\t3", ["a", "1", " 2", "b", "\t", "3"]),
        ("", []),
    ])
    func splitsExamples(text: String, expected: [String]) {
        #expect(pieces(text) == expected)
    }

    /// The pattern, run by Swift's own regular expressions on scalars.
    @Test func agreesWithThePattern() throws {
        let pattern = try Regex(#"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#)
            .matchingSemantics(.unicodeScalar)
        let scalars = Array(
            " \n\t\r'sdmrevlltaZé日ß12½²٣,.!-_\u{A0}\u{2003}\u{3000}\u{85}\u{301}👍\u{200D}".unicodeScalars)
        var random = SeededGenerator(state: 1)
        for _ in 0..<3000 {
            var text = ""
            for _ in 0..<Int.random(in: 0..<14, using: &random) {
                text.unicodeScalars.append(scalars.randomElement(using: &random)!)
            }
            let expected = text.matches(of: pattern).map { String(text[$0.range]) }
            #expect(pieces(text).map { Array($0.utf8) } == expected.map { Array($0.utf8) }, "\(text.debugDescription)")
        }
    }

    /// Unicode 16 has 141028 letters, 1911 numbers and 25 blanks; each shows by joining one of its kind. The hash is that
    /// of Tests/Reference/unicode_classes.py.
    @Test func classesAreThoseOfUnicode16() throws {
        var counts = [0, 0, 0]
        var classes = [UInt8](repeating: 0, count: 0x110000)
        for point in UInt32(0)..<0x110000 {
            guard let scalar = Unicode.Scalar(point) else { continue }
            let bytes = Array(String(Character(scalar)).utf8)
            for (kind, mate) in [UInt8(ascii: "a"), UInt8(ascii: "1"), UInt8(ascii: "\t")].enumerated() {
                guard splitter.split([mate] + bytes).count == 1 else { continue }
                counts[kind] += 1
                classes[Int(point)] = UInt8(kind + 1)
            }
        }
        #expect(counts == [141028, 1911, 25])
        #expect(try SHA256.hash(classes) == "ba830e7f669dd0fcc40141409e2c8be621eead74b1d0d659dc89185f117d69c8")
    }

    /// Broken bytes are split as the replacement characters of a lossy decoder would be.
    @Test func brokenBytesSplitLikeReplacementCharacters() {
        let broken: [[UInt8]] = [
            [0xFF], [0xC3], [0xE3, 0x80], [0xED, 0xA0, 0x80], [0xC0, 0xAF], [0xF5, 0x80, 0x80, 0x80],
            [0xE0, 0x80, 0xA0], [0xF0, 0x80, 0x81, 0xA1], [0xC1, 0xA1],
        ]
        for bytes in broken {
            // Symbols on both sides join with them: bytes taken for a letter, a digit or a blank would not.
            let text = Array("ab .".utf8) + bytes + Array("!c".utf8)
            let parts = splitter.split(text).map { Array(text[$0]) }
            #expect(parts == [Array("ab".utf8), Array(" .".utf8) + bytes + Array("!".utf8), Array("c".utf8)])
        }
    }

    @Test func safeCutsChangeNoPreToken() {
        let bytes: [UInt8] = Array(" \n\t'sré1日.\u{3000}\u{A0}".utf8) + [0x85, 0xE3]
        var random = SeededGenerator(state: 2)
        var cuts = 0
        for _ in 0..<5000 {
            let text = (0..<20).map { _ in bytes.randomElement(using: &random)! }
            let limit = Int.random(in: 0..<20, using: &random)
            guard let cut = splitter.lastSafeCut(in: text.span, atMost: limit) else { continue }
            cuts += 1
            #expect(cut > 0 && cut <= limit)
            let front = splitter.split(Array(text[..<cut]))
            let back = splitter.split(Array(text[cut...])).map { $0.lowerBound + cut..<$0.upperBound + cut }
            #expect(front + back == splitter.split(text), "\(text) cut at \(cut)")
        }
        #expect(cuts > 2000)
    }
}
