import Basics
import Checkpointing
import Foundation

/// A safetensors file of reference numbers, read whole.
///
/// The fixtures come from the programs in Tests/Reference.
package struct Golden: Sendable {
    private let values: [String: [Double]]
    private let shapes: [String: [Int]]

    /// Reads `Tests/TransformerTests/Fixtures/<name>`.
    package init(_ name: String) throws {
        let file = try SafetensorsFile(path: FilePath(Golden.path(of: name)))
        var values: [String: [Double]] = [:]
        var shapes: [String: [Int]] = [:]
        for tensor in file.tensors {
            var bytes = [UInt8](repeating: 0, count: tensor.range.count)
            var span = bytes.mutableSpan
            var raw = span.mutableBytes
            try file.read(tensor, into: &raw)
            values[tensor.name] = try Golden.doubles(bytes, tensor)
            shapes[tensor.name] = tensor.shape
        }
        self.values = values
        self.shapes = shapes
    }

    /// The names of all tensors.
    package var names: Set<String> { Set(values.keys) }

    /// A tensor's values, row by row; exact for every type read.
    package func doubles(_ name: String) throws -> [Double] {
        guard let found = values[name] else { throw GoldenError(description: "no tensor \(name)") }
        return found
    }

    /// A tensor's values as fp32.
    package func floats(_ name: String) throws -> [Float] { try doubles(name).map { Float($0) } }

    /// A tensor's values as token ids.
    package func tokens(_ name: String) throws -> [Int32] { try doubles(name).map { Int32($0) } }

    /// A tensor's dimensions.
    package func shape(_ name: String) -> [Int]? { shapes[name] }

    /// Where a fixture lies: beside this source file's folder, wherever the tests are started.
    package static func path(of name: String, sourceFile: String = #filePath) -> String {
        let tests = URL(fileURLWithPath: sourceFile).deletingLastPathComponent().deletingLastPathComponent()
        return tests.appendingPathComponent("TransformerTests/Fixtures/\(name)").path
    }

    private static func doubles(_ bytes: [UInt8], _ tensor: TensorEntry) throws -> [Double] {
        try bytes.withUnsafeBytes { raw in
            let count = tensor.elementCount
            switch tensor.dataType {
            case .f32: return (0..<count).map { Double(raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self)) }
            case .f64: return (0..<count).map { raw.loadUnaligned(fromByteOffset: 8 * $0, as: Double.self) }
            case .i32: return (0..<count).map { Double(raw.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self)) }
            default: throw GoldenError(description: "tensor \(tensor.name) is \(tensor.dataType)")
            }
        }
    }
}

/// A fixture that is not what a test expects.
package struct GoldenError: Error, CustomStringConvertible {
    package let description: String
}
