import Basics
import Testing
import TokenData

/// Training, against Hugging Face's goldens and against a plain recount of everything.
@Suite struct BPETrainerTests {
    private func train(_ texts: [String], _ size: Int, minimumFrequency: Int = 2) throws -> Tokenizer {
        var words = WordCounts()
        for text in texts { words.add(text) }
        return try BPETrainer(vocabularySize: size, minimumFrequency: minimumFrequency).train(words)
    }

    @Test func mergesAreThoseOfHuggingFace() throws {
        let tokenizer = try train([TokenizerGoldens.text], 400)
        #expect(tokenizer.mergesText() == Array(TokenizerGoldens.merges.utf8))
        #expect(tokenizer.vocabularySize == 400)
        #expect(tokenizer.endOfTextID == 0)
    }

    @Test func tokenizerFileIsThatOfHuggingFace() throws {
        #expect(try train([TokenizerGoldens.text], 262).tokenizerJSON() == Array(TokenizerGoldens.json.utf8))
    }

    /// The rule without any cleverness: recount all pairs before each merge.
    private func plainMerges(_ text: String, _ size: Int) -> [String] {
        let bytes = Array(text.utf8)
        var words = PreTokenizer().split(bytes).map { range in bytes[range].map { [$0] } }
        var vocabulary: [[UInt8]: Int] = [:]
        let alphabet = (0x21...0x7E).map { $0 } + (0xA1...0xAC) + (0xAE...0xFF)
        let shown = alphabet + (0..<256).filter { !alphabet.contains($0) }
        for (index, byte) in shown.enumerated() { vocabulary[[UInt8(byte)]] = index + 1 }
        var merges: [String] = []
        while vocabulary.count + 1 < size {
            var counts: [[Int]: Int] = [:]
            for word in words {
                for (left, right) in zip(word, word.dropFirst()) {
                    counts[[vocabulary[left]!, vocabulary[right]!], default: 0] += 1
                }
            }
            let best = counts.min {
                $0.value != $1.value ? $0.value > $1.value : $0.key.lexicographicallyPrecedes($1.key)
            }
            guard let best, best.value >= 2 else { break }
            let left = vocabulary.first { $0.value == best.key[0] }!.key
            let right = vocabulary.first { $0.value == best.key[1] }!.key
            merges.append("\(left) \(right)")
            if vocabulary[left + right] == nil { vocabulary[left + right] = vocabulary.count + 1 }
            words = words.map { word in
                var merged: [[UInt8]] = []
                var index = 0
                while index < word.count {
                    if word[index] == left, index + 1 < word.count, word[index + 1] == right {
                        merged.append(left + right)
                        index += 2
                    } else {
                        merged.append(word[index])
                        index += 1
                    }
                }
                return merged
            }
        }
        return merges
    }

    @Test(arguments: ["ab", "aab ", "abc \n", "x1 é日", "'s tré"])
    func agreesWithAPlainRecount(alphabet: String) throws {
        var random = SeededGenerator(state: UInt64(alphabet.utf8.count))
        for _ in 0..<12 {
            let words = (0..<12).map { _ in
                String((0..<Int.random(in: 1..<9, using: &random)).map { _ in alphabet.randomElement(using: &random)! })
            }
            let text = (0..<60).map { _ in words.randomElement(using: &random)! }.joined(separator: " ")
            let tokenizer = try train([text], 290)
            let merges = tokenizer.merges.map {
                "\(Array(tokenizer.bytes(of: $0.left))) \(Array(tokenizer.bytes(of: $0.right)))"
            }
            #expect(merges == plainMerges(text, 290), "\(text)")
        }
    }

    /// Counting in parts and in any order gives the same vocabulary.
    @Test func countsOfPartsAddUp() throws {
        let lines = TokenizerGoldens.text.split(separator: "\n", omittingEmptySubsequences: false).map {
            String($0) + "\n"
        }
        var parts = lines.map { line in
            var words = WordCounts()
            words.add(line)
            return words
        }
        parts.reverse()
        var merged = WordCounts()
        for part in parts { merged.merge(part) }
        var whole = WordCounts()
        for line in lines { whole.add(line) }
        #expect(merged.counts.reduce(0, +) == whole.counts.reduce(0, +))
        #expect(merged.counts.count == whole.counts.count)
        let trainer = try BPETrainer(vocabularySize: 400)
        #expect(try trainer.train(merged).mergesText() == trainer.train(whole).mergesText())
    }

    @Test func trainingStopsWhereNothingRepeats() throws {
        #expect(try train(["ab"], 1000).vocabularySize == 257)
        #expect(try train(["abab"], 1000).mergesText() == Array("#version: 0.2\na b\n".utf8))
        #expect(try train(["abc"], 1000, minimumFrequency: 1).vocabularySize == 259)
        #expect(try train([], 1000).vocabularySize == 257)
    }

    @Test func vocabulariesTooSmallForTheBytesAreErrors() {
        for size in [-1, 0, 256, 1 << 25] {
            let error = #expect(throws: ExitError.self) { try BPETrainer(vocabularySize: size) }
            #expect(error?.exitCode == 64)
            #expect(error?.description.contains("\(size)") == true)
        }
    }

    @Test func progressIsToldAsTokens() throws {
        var seen: [Int] = []
        var words = WordCounts()
        words.add(TokenizerGoldens.text)
        _ = try BPETrainer(vocabularySize: 400).train(words) { seen.append($0) }
        #expect(seen == [320, 384])
    }
}
