import Basics
import Checkpointing
import Testing
import Transformer

/// T2: every number of every file at the values where arithmetic breaks. A wrong one is 65; whatever is accepted can be
/// used; nothing traps.
@Suite struct HostileNumberTests {
    private static let values = [
        "0", "-1", "2147483648", "4611686018427387904", "9223372036854775807", "9223372036854775808",
        "18446744073709551615", "-9223372036854775808", "1e308", "-1e308", "1e-320", "0.5", "null", "\"1\"", "[]",
    ]

    /// The text with each of its numbers in turn replaced by each of the values.
    private func variants(_ json: [UInt8]) -> [[UInt8]] {
        let text = String(decoding: json, as: UTF8.self)
        let numbers = text.matches(of: #/[:\[,]\s*(-?[0-9][0-9.e+-]*)/#).map(\.1)
        #expect(numbers.count > 2)
        return numbers.flatMap { number in
            Self.values.map { value in
                Array((text[..<number.startIndex] + value + text[number.endIndex...]).utf8)
            }
        }
    }

    private func expectUsableOr65(_ json: [UInt8], _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            #expect(exitCode(of: error) == .badInput, "\(error): \(String(decoding: json, as: UTF8.self))")
            #expect("\(error)".utf8.count < 600 && !"\(error)".contains("\n"))
        }
    }

    @Test("T2: config.json of a model", arguments: Architecture.allCases)
    func configuration(architecture: Architecture) throws {
        var shape = try DecoderConfiguration.small(architecture)
        if let size = shape.positions.rotary?.rotatedSize {
            let scaling = RotaryPositions.Scaling.llama3(
                factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 2)
            shape.positions = .rotary(RotaryPositions(theta: 500, rotatedSize: size, scaling: scaling))
        }
        if architecture == .modern { shape.logitSoftCap = 30 }
        let description = ModelDescription(shape: shape, beginTokenID: 3, endTokenID: 3)
        for json in variants(description.configurationJSON()) {
            expectUsableOr65(json) {
                let read = try ModelDescription(configurationJSON: json, file: "config.json")
                #expect(read.shape.parameterCount > 0 && read.tensors.count > 10)
                #expect(read.shape.positions.rotary?.frequencies.allSatisfy(\.isFinite) ?? true)
                _ = read.configurationJSON() + read.generationConfigurationJSON()
            }
        }
    }

    @Test("T2: trainer_state.json") func state() throws {
        var state = try Sample.state(step: 5)
        state.bestValidationLoss = 5
        state.validationSet = .init(identity: "0", sequences: 3)
        state.unevaluatedStep = .init()
        for json in variants(state.json()) {
            expectUsableOr65(json) {
                let read = try TrainerState(json: json, file: "trainer_state.json")
                _ = fixed(read.scheduler.nextLearningRate, 6) + "\(read.epoch + 1)"
                _ = read.json()
            }
        }
    }

    @Test("T2: manifest.json") func manifest() throws {
        let root = try TemporaryDirectory()
        let path = try CheckpointDirectory(path: root.path).saveSample(step: 5).path
        for json in variants(try readFile(path + "manifest.json")) {
            try writeFile(path + "manifest.json", json)
            let error = try thrown { try Checkpoint(verifying: path) }
            #expect(error.exitCode == .badInput, "\(error)")
        }
    }

    @Test("T2: the header of a safetensors file") func header() throws {
        let json = Array(
            (#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"#
                + #""b":{"dtype":"BF16","shape":[0,4],"data_offsets":[24,24]}}"#).utf8)
        _ = try SafetensorsHeader(json: json, dataSize: 24)
        for json in variants(json) {
            expectUsableOr65(json) {
                let header = try SafetensorsHeader(json: json, dataSize: 24)
                #expect(header.tensors.reduce(0) { $0 + $1.elementCount } == 6)
            }
        }
    }
}
