import Basics
import Foundation
import Testing
import TokenData

/// Encoding and decoding, against Hugging Face's ids and on any bytes.
@Suite struct TokenizerTests {
    private static func trained(_ size: Int) throws -> Tokenizer {
        var words = WordCounts()
        words.add(TokenizerGoldens.text)
        return try BPETrainer(vocabularySize: size).train(words)
    }

    private let tokenizer: Tokenizer
    /// The same without added tokens: to it, `<|endoftext|>` is text.
    private let plainTokenizer: Tokenizer

    init() throws {
        tokenizer = try Self.trained(400)
        let directory = try TemporaryDirectory()
        let text = String(decoding: tokenizer.tokenizerJSON(), as: UTF8.self)
        let start = try #require(text.range(of: "\"added_tokens\": ["))
        let end = try #require(text.range(of: "],", range: start.upperBound..<text.endIndex))
        let json = text[..<start.upperBound] + text[end.lowerBound...]
        plainTokenizer = try Tokenizer(path: FilePath(directory.write("tokenizer.json", json.utf8)))
    }

    /// S9: the text of a special token is that token.
    @Test func idsAreThoseOfHuggingFace() {
        for (text, plain, special) in TokenizerGoldens.encodings {
            #expect(plainTokenizer.encode(text) == plain, "\(text.debugDescription)")
            #expect(tokenizer.encode(text) == special, "\(text.debugDescription)")
        }
    }

    @Test func decodingGivesTheTextBack() {
        for (text, plain, special) in TokenizerGoldens.encodings {
            #expect(tokenizer.decodeString(plain).utf8.elementsEqual(text.utf8))
            #expect(tokenizer.decodeString(special).utf8.elementsEqual(text.utf8))
        }
        #expect(tokenizer.decodeString([tokenizer.endOfTextID!]) == "<|endoftext|>")
        #expect(tokenizer.decode([-1, 400, Int32.max]) == [])
    }

    @Test func anyBytesComeBack() {
        var random = SeededGenerator(state: 3)
        for _ in 0..<500 {
            let bytes = (0..<Int.random(in: 0..<300, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            #expect(tokenizer.decode(tokenizer.encode(bytes)) == bytes)
            #expect(tokenizer.decode(tokenizer.encode(Array("<|endoftext|>".utf8) + bytes)).dropFirst(13) == bytes[...])
        }
    }

    /// Long words are merged with a heap, short ones by scanning: the same rule, so the same tokens.
    @Test func longWordsMergeLikeShortOnes() {
        var random = SeededGenerator(state: 4)
        for length in [47, 48, 49, 50, 127, 128, 129, 400] {
            let word = (0..<length).map { _ in [UInt8(ascii: "a"), UInt8(ascii: "b")].randomElement(using: &random)! }
            #expect(tokenizer.encode(word) == mergedPlainly(word))
        }
    }

    /// The rule, spelled out: the adjacent pair of the lowest rank, the leftmost first.
    private func mergedPlainly(_ word: [UInt8]) -> [Int32] {
        let lines = String(decoding: tokenizer.mergesText(), as: UTF8.self).split(separator: "\n").dropFirst()
        let ranks = Dictionary(uniqueKeysWithValues: lines.enumerated().map { (String($1), $0) })
        var parts = word.map { String(UnicodeScalar($0)) }
        while true {
            let pairs = (0..<parts.count - 1).compactMap { index in
                ranks["\(parts[index]) \(parts[index + 1])"].map { ($0, index) }
            }
            guard let best = pairs.min(by: { $0 < $1 }) else { break }
            parts[best.1] += parts.remove(at: best.1 + 1)
        }
        return parts.flatMap { part in
            (0..<Int32(tokenizer.vocabularySize)).filter { tokenizer.bytes(of: $0).elementsEqual(part.utf8) }
        }
    }

    /// A quadratic merge would need hours for this.
    @Test func aMegabyteOfOneLetterIsNoProblem() {
        let ids = tokenizer.encode([UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20))
        #expect(tokenizer.decode(ids).count == 1 << 20)
    }

    @Test func oneEncoderServesManyTexts() {
        var encoder = TokenEncoder(tokenizer)
        for (text, _, special) in TokenizerGoldens.encodings + TokenizerGoldens.encodings {
            var ids: [Int32] = [7]
            encoder.encode(Array(text.utf8).span, into: &ids)
            #expect(ids == [7] + special)
        }
    }

    /// More different words than an encoder remembers: it forgets them and goes on.
    @Test func aFullMemoryStartsAfresh() {
        func word(_ number: Int) -> [UInt8] { (0..<4).map { UInt8(ascii: "a") + UInt8((number >> (5 * $0)) % 26) } }
        var encoder = TokenEncoder(tokenizer)
        var ids: [Int32] = []
        var text: [UInt8] = []
        for number in 0..<600_000 {
            text += word(number * 7) + [0x20]
            if number % 1000 == 0 {
                encoder.encode(text.span, into: &ids)
                text = []
            }
        }
        encoder.encode(text.span, into: &ids)
        ids.removeAll()
        encoder.encode(Array(TokenizerGoldens.text.utf8).span, into: &ids)
        #expect(ids == tokenizer.encode(TokenizerGoldens.text))
    }
}
