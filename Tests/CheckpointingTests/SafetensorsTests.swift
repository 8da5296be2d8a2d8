import Basics
import Checkpointing
import Testing

/// The format, both ways, against the reference writer's bytes; and everything that a reader must refuse.
@Suite struct SafetensorsTests {
    private let root: TemporaryDirectory

    init() throws { root = try TemporaryDirectory() }

    private func file(_ bytes: [UInt8]) throws -> SafetensorsFile {
        let path = root.path + "/a.safetensors"
        try writeFile(path, bytes)
        return try SafetensorsFile(path: path)
    }

    private func bytes(header: String, data: Int, length: UInt64? = nil) -> [UInt8] {
        let length = length ?? UInt64(header.utf8.count)
        return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + Array(header.utf8)
            + [UInt8](repeating: 1, count: data)
    }

    private func written(_ tensors: [TensorSource]) throws -> [UInt8] {
        var output: [UInt8] = []
        try SafetensorsWriter.write(tensors) { bytes in bytes.withUnsafeBytes { output += $0 } }
        #expect(output.count == (try SafetensorsWriter.fileSize(tensors)))
        return output
    }

    private func source(_ name: String, _ type: TensorDataType, _ shape: [Int], _ bytes: [UInt8]) -> TensorSource {
        TensorSource(name: name, dataType: type, shape: shape) { body in
            for byte in bytes { try body([byte].span.bytes) }  // in pieces
        }
    }

    @Test func writesTheReferenceWritersBytes() throws {
        let output = try written([
            TensorSource(name: "empty", shape: [0, 4], floats: []),
            source("b", .bool, [1], [1]), source("u", .u8, [1], [200]), source("h", .f16, [1], [0x00, 0x38]),
            source("a", .bf16, [3], [0x80, 0x3F, 0x00, 0xC0, 0x49, 0x40]),
            TensorSource(name: "z", shape: [2], floats: [1.5, -0.25]),
            TensorSource(name: "matrix", shape: [2, 3], floats: [0, 1, 2, 3, 4, 5]),
            TensorSource(name: "scalar", shape: [], floats: [7]),
            source("i", .i64, [1], [0xFE] + [UInt8](repeating: 0xFF, count: 7)),
        ])
        #expect(output == safetensorsGolden)
    }

    @Test func readsTheReferenceWritersBytes() throws {
        let file = try file(safetensorsGolden)
        #expect(file.tensors.map(\.name) == ["i", "empty", "matrix", "scalar", "z", "a", "h", "u", "b"])
        #expect(file.header.metadata == ["format": "pt"])
        func floats(_ name: String) throws -> [Float] { try file.floats(#require(file.tensor(name))) }
        #expect(try floats("matrix") == [0, 1, 2, 3, 4, 5])
        #expect(try floats("z") == [1.5, -0.25])
        #expect(try floats("a") == [1, -2, 3.140625])
        #expect(try floats("h") == [0.5])
        #expect(try floats("scalar") == [7])
        #expect(try floats("empty") == [])
        _ = try thrown { try floats("i") }
        #expect(file.tensor("nothing") == nil)
    }

    @Test func refusesEveryTruncationAndEveryTrailingByte() throws {
        for length in 0..<safetensorsGolden.count {
            _ = try thrown { try file(Array(safetensorsGolden.prefix(length))) }
        }
        _ = try thrown { try file(safetensorsGolden + [0]) }
    }

    @Test(
        arguments: [
            0, 7, 100, 16_777_217, 1 << 31, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, UInt64.max,
        ] as [UInt64])
    func refusesAWrongHeaderLength(length: UInt64) throws {
        let header = #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#
        _ = try thrown { try file(bytes(header: header, data: 4, length: length)) }
    }

    private static let one = #"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#
    private static let rank = String(repeating: "1,", count: 999_999) + "1"

    @Test(arguments: [
        // Not a header
        "", "[]", "3", "\"a\"", "{", "{}", #"{"a":1}"#, #"{"a":{}}"#, "{\"a\":\(one)} x", "{\"a\":\(one),\"a\":\(one)}",
        // Types and shapes
        #"{"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[1e99],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[9223372036854775807,2],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,4]}}"#,
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[\(rank)],\"data_offsets\":[0,4]}}",
        // Offsets
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#,
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#,
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#,
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        #"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#,
        #"{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}}"#,
        #"{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}"#,
        #"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}"#,
        #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}"#,
        #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}}"#,
        // Names and metadata
        "{\"\":\(one)}", "{\"a\\u0000b\":\(one)}", "{\"a\\nb\":\(one)}",
        "{\"\(String(repeating: "a", count: 513))\":\(one)}",
        "{\"__metadata__\":{\"a\":1},\"a\":\(one)}", "{\"__metadata__\":[],\"a\":\(one)}",
        "{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"},\"a\":\(one)}",
    ])
    func refuses(header: String) throws {
        let error = try thrown { try file(bytes(header: header, data: 4)) }
        #expect(error.exitCode == 65)
        #expect(error.description.utf8.count < 500 && !error.description.contains("\n"))
    }

    @Test(arguments: [
        "{\"a\":\(one)}", "  {\"a\":\(one)}\n \n", "{\"__metadata__\":null,\"a\":\(one)}",
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":[1]}}"#,
        #"{"b":{"dtype":"U8","shape":[3],"data_offsets":[1,4]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
        #"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}"#,
        #"{"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}}"#,
    ])
    func acceptsWhatTheReferenceAccepts(header: String) throws {
        #expect(throws: Never.self) { try file(bytes(header: header, data: 4)) }
        #expect(throws: Never.self) { try file(bytes(header: "{}", data: 0)) }
    }

    @Test func refusesTooManyTensors() throws {
        let entries = (0...100_000).map { "\"\($0)\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}" }
        _ = try thrown {
            try file(bytes(header: "{\(entries.joined(separator: ","))}", data: 0))
        }
    }

    @Test func everyFlippedHeaderBitIsRefusedOrHarmless() throws {
        // The header alone cannot protect itself; what matters here is that no bit makes the reader trap or go
        // outside of the file.
        let headerSize = 8 + Int(safetensorsGolden[0]) + Int(safetensorsGolden[1]) << 8
        for bit in 0..<8 * headerSize {
            var bytes = safetensorsGolden
            bytes[bit / 8] ^= 1 << (bit % 8)
            guard let file = try? file(bytes) else { continue }
            for tensor in file.tensors where [.f32, .bf16, .f16].contains(tensor.dataType) {
                _ = try file.floats(tensor)
            }
        }
    }

    @Test func aFileThatShrinksWhileItIsRead() throws {
        let path = root.path + "/a.safetensors"
        let file = try file(safetensorsGolden)
        try writeFile(path, Array(safetensorsGolden.prefix(20)))
        let error = try thrown { try file.floats(#require(file.tensor("z"))) }
        #expect(error.exitCode == 65)
        #expect(error.description.contains("cut short"))
    }

    @Test func namesEveryTensorThatDoesNotFit() throws {
        let file = try file(
            try written([
                TensorSource(name: "a", shape: [2], floats: [1, 2]), TensorSource(name: "b", shape: [1], floats: [1]),
                source("c", .bf16, [1], [0, 0]),
            ]))
        let expected = ["a", "b", "c", "d"].map { (name: $0, shape: [1]) }
        let message = try thrown { try file.check(expected) }.description
        #expect(message.contains("\"a\" has shape [2], expected [1]"))
        #expect(message.contains("\"c\" has dtype BF16, expected F32"))
        #expect(message.contains("\"d\" is missing, expected shape [1]"))
        #expect(!message.contains("\"b\""))
        let extra = try thrown { try file.check([]) }.description
        #expect(extra.contains("\"b\" with shape [1] is not expected"))
    }

    @Test func countsWhatIsNotFinite() throws {
        #expect(nonFiniteCount([1, .greatestFiniteMagnitude, -0.0, .leastNonzeroMagnitude].span) == 0)
        #expect(nonFiniteCount([.nan, .infinity, -.infinity, .signalingNaN, 0].span) == 4)
        let error = try thrown {
            try requireFinite([.nan, 1].span, tensor: "h.0.ln_1.weight", file: "model.safetensors")
        }
        #expect(error.description.contains("\"h.0.ln_1.weight\" has 1 of 2 values"))
    }
}
