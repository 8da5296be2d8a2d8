import Basics
import TestSupport
import Testing
import TokenData

/// The power is cut after any operation of a tokenization: a folder with a `tokenizer.json` holds a whole corpus, this
/// one or the one before, and what was said to be done is done.
@Suite struct CorpusPowerCutTests {
    private let inputs: TemporaryDirectory

    init() throws {
        inputs = try TemporaryDirectory()
        try inputs.write("a.txt", String(repeating: "one two three four five six seven\n", count: 300).utf8)
        try inputs.write("b.txt", String(repeating: "eight nine ten\n\n", count: 300).utf8)
    }

    private func tokenize(_ input: String, on disk: SimulatedDisk) throws {
        let output = CorpusOutput(path: "/out", overwrites: true, fileSystem: disk)
        let source = try CorpusSource(paths: [FilePath(input)], output: output)
        _ = try CorpusTokenizer(source: source, output: output, validationFraction: 0.3, threads: 1)
            .run(tokenizer: nil, trainer: BPETrainer(vocabularySize: 270))
    }

    /// The files of a corpus by name; none without a tokenizer.
    private func corpus(on disk: SimulatedDisk) throws -> [String: [UInt8]] {
        let names = ((try? disk.names(in: "/out")) ?? []).map(\.string).filter { !$0.hasPrefix(".") }
        guard names.contains("tokenizer.json") else { return [:] }
        return Dictionary(
            uniqueKeysWithValues: try names.map {
                ($0, try InputFile(FilePath("/out/" + $0), fileSystem: disk).contents(limit: 1 << 20))
            })
    }

    @Test func aCorpusIsWholeOrAbsent() throws {
        let first = inputs.path + "/a.txt"
        let disk = SimulatedDisk()
        try tokenize(first, on: disk)
        let old = try corpus(on: disk)
        let before = disk.operations
        try tokenize(inputs.path, on: disk)
        let new = try corpus(on: disk)
        #expect(old.count == 3 && new.count == 3 && old != new)
        let count = disk.operations - before
        for place in 0...count {
            for cut in SimulatedDisk.Cut.some {
                let disk = SimulatedDisk()
                try tokenize(first, on: disk)
                disk.operationsLeft = place
                let isDone = (try? tokenize(inputs.path, on: disk)) != nil
                disk.cutPower(cut)
                let found = try corpus(on: disk)
                #expect(isDone == (place >= count))
                #expect(isDone ? found == new : found.isEmpty || found == old || found == new, "\(place), \(cut)")
            }
        }
    }
}
