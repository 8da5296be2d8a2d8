import TestSupport
import Testing
import Training

/// What `generate --stop` writes of a text that comes in pieces.
@Suite struct StopTextsTests {
    /// What was written after each piece, and whether it ended there; after the last one what was held back.
    private func written(
        _ stops: [String], _ pieces: [[UInt8]]
    ) -> (pieces: [String], rest: String, isComplete: Bool) {
        var texts = StopTexts(stops.map { Array($0.utf8) })
        var written: [String] = []
        for piece in pieces where !texts.isComplete {
            written.append(String(decoding: texts.append(piece), as: UTF8.self))
        }
        return (written, String(decoding: texts.end(), as: UTF8.self), texts.isComplete)
    }

    private func bytes(_ pieces: [String]) -> [[UInt8]] { pieces.map { Array($0.utf8) } }

    @Test(
        "each piece is written as soon as it can be no beginning of a stop",
        arguments: [
            ([], ["ab", "c"], ["ab", "c"], "", false),
            (["x"], ["ab", "c"], ["ab", "c"], "", false),
            // Within a piece, at its start and at its end.
            (["stop"], ["a stop b", "c"], ["a "], "", true),
            (["stop"], ["a", "stop"], ["a", ""], "", true),
            (["stop"], ["stop"], [""], "", true),
            // Over several pieces.
            (["stop"], ["a s", "t", "op b"], ["a ", "", ""], "", true),
            // A beginning that goes on otherwise, or stands at the end of the text.
            (["stop"], ["a st", "ep"], ["a ", "step"], "", false),
            (["stop"], ["a st", "ill", " sto"], ["a ", "still", " "], "sto", false),
            (["stop"], ["s", "s", "s", "t"], ["", "s", "s", ""], "st", false),
            // What is held holds the beginning of another try.
            (["aab"], ["a", "a", "a", "b"], ["", "", "a", ""], "", true),
            (["aab"], ["aaab"], ["a"], "", true),
            (["abab\n"], ["aba", "baba", "b\n"], ["", "abab", ""], "", true),
            // The earliest of several, whatever their order.
            (["c", "b"], ["abc"], ["a"], "", true),
            (["b", "c"], ["abc"], ["a"], "", true),
            (["cd", "bx"], ["ab", "cd"], ["a", "b"], "", true),
            (["abc", "b"], ["xab"], ["xa"], "", true),
        ] as [([String], [String], [String], String, Bool)])
    func pieces(stops: [String], given: [String], expected: [String], rest: String, isComplete: Bool) {
        let result = written(stops, bytes(given))
        #expect(result.pieces == expected)
        #expect(result.rest == rest && result.isComplete == isComplete)
    }

    /// é is C3 A9, è C3 A8: a token can end within either.
    @Test func bytesOfACharacter() {
        var texts = StopTexts([Array("é".utf8)])
        #expect(texts.append([0x61, 0xC3]) == [0x61])
        #expect(texts.append([0xA8, 0xC3]) == [0xC3, 0xA8])
        #expect(!texts.isComplete)
        #expect(texts.append([0xA9, 0x62]) == [])
        #expect(texts.isComplete)
        #expect(texts.end() == [])
    }

    @Test func whatWasHeldComesOnce() {
        var texts = StopTexts([Array("stop".utf8)])
        #expect(texts.append("st".utf8) == [])
        #expect(texts.end() == Array("st".utf8))
        #expect(texts.end() == [])
        // Forgotten with what was given back.
        #expect(texts.append("op".utf8) == Array("op".utf8))
        #expect(!texts.isComplete)
    }

    /// Texts of two letters and every way of cutting them: what is written is what stands before the stop, however it comes.
    @Test(arguments: ["a", "ab", "aab", "aba", "abab", "aabaa", "bb"]) func everyCut(stop: String) {
        let length = 7
        for word in 0..<1 << length {
            let text = String((0..<length).map { word >> $0 & 1 == 0 ? "a" : "b" })
            let range = text.firstRange(of: stop)
            let expected = String(text[..<(range?.lowerBound ?? text.endIndex)])
            for cuts in 0..<1 << (length - 1) {
                var pieces: [[UInt8]] = [[]]
                for (index, byte) in text.utf8.enumerated() {
                    pieces[pieces.count - 1].append(byte)
                    if cuts >> index & 1 == 1 { pieces.append([]) }
                }
                let result = written([stop], pieces)
                guard result.isComplete == (range != nil), result.pieces.joined() + result.rest == expected else {
                    Issue.record("\(text) in \(pieces.map(\.count)) pieces: \(result)")
                    return
                }
            }
        }
    }
}
