import Basics

/// A safetensors file open for reading: its table, and the bytes of any tensor.
package final class SafetensorsFile: Sendable {
    /// The tensor table.
    package let header: SafetensorsHeader
    /// The path as it was given.
    package var path: FilePath { file.path }
    /// Bytes of the whole file.
    package var fileSize: Int { file.size }
    /// The tensors in the order of their data.
    package var tensors: [TensorEntry] { header.tensors }
    private let file: InputFile
    private let dataStart: Int
    private let places: [[UInt8]: Int]

    /// Opens a file and checks its header; throws 66 or 65 with the file and the reason.
    package convenience init(path: FilePath, fileSystem: any FileSystem = LocalFileSystem()) throws {
        try self.init(InputFile(path, fileSystem: fileSystem))
    }

    /// Checks the header of an open file.
    package init(_ file: InputFile) throws {
        func fail(_ what: String) -> ExitError {
            ExitError(.badInput, "\(file.path.shown) is not a safetensors file: \(what)")
        }
        guard file.size >= 8 else { throw fail("\(file.size) bytes, expected at least 8") }
        let start = try file.bytes(min(file.size, 64), at: 0)
        if InputFile.isLFSPointer(start) { throw fail(InputFile.lfsAdvice) }
        let length = start.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= UInt64(SafetensorsHeader.sizeLimit) else {
            throw fail("a header of \(length) bytes, expected at most \(SafetensorsHeader.sizeLimit)")
        }
        let count = Int(length)
        guard count <= file.size - 8 else {
            throw fail("a header of \(count) bytes, but only \(file.size - 8) follow; the file was cut short")
        }
        do {
            header = try SafetensorsHeader(json: file.bytes(count, at: 8), dataSize: file.size - 8 - count)
        } catch let error as JSONError {
            throw fail("\(error)")
        }
        self.file = file
        dataStart = 8 + count
        let names = header.tensors.enumerated().map { (Array($1.name.utf8), $0) }
        places = Dictionary(names, uniquingKeysWith: { $1 })
    }

    /// The tensor of this name, or nil.
    package func tensor(_ name: String) -> TensorEntry? { places[Array(name.utf8)].map { header.tensors[$0] } }

    /// Copies the tensor's bytes.
    ///
    /// - Precondition: `bytes` has exactly the tensor's size.
    package func read(_ tensor: TensorEntry, into bytes: inout MutableRawSpan) throws {
        precondition(bytes.byteCount == tensor.range.count, "the destination must have the tensor's size")
        try file.read(into: &bytes, at: dataStart + tensor.range.lowerBound)
    }

    /// Copies the tensor's values as fp32; BF16 and F16 are widened, which is exact. Other types throw 65.
    ///
    /// - Precondition: `values` has exactly the tensor's number of elements.
    package func readFloats(_ tensor: TensorEntry, into values: inout MutableSpan<Float>) throws {
        precondition(values.count == tensor.elementCount, "the destination must have the tensor's number of elements")
        switch tensor.dataType {
        case .f32:
            var bytes = values.mutableBytes
            try read(tensor, into: &bytes)
        case .bf16:
            try widen(tensor, into: &values) { Float(bitPattern: UInt32($0) << 16) }
        case .f16:
            try widen(tensor, into: &values) { Float(Float16(bitPattern: $0)) }
        default:
            throw ExitError(
                .badInput,
                "\(path.shown): tensor \(quoted(tensor.name)) has dtype \(tensor.dataType.rawValue), "
                    + "expected F32, BF16 or F16")
        }
    }

    /// The tensor's values as an array, for small tensors and tests.
    package func floats(_ tensor: TensorEntry) throws -> [Float] {
        var values = [Float](repeating: 0, count: tensor.elementCount)
        var span = values.mutableSpan
        try readFloats(tensor, into: &span)
        return values
    }

    /// Reads 16-bit values in pieces and converts each.
    private func widen(
        _ tensor: TensorEntry, into values: inout MutableSpan<Float>, _ convert: (UInt16) -> Float
    ) throws {
        var buffer = [UInt16](repeating: 0, count: min(max(values.count, 1), 1 << 18))
        var done = 0
        while done < values.count {
            let count = min(buffer.count, values.count - done)
            var span = buffer.mutableSpan
            var raw = span.mutableBytes
            try file.read(into: &raw, part: 0..<2 * count, at: dataStart + tensor.range.lowerBound + 2 * done)
            for index in 0..<count { values[done + index] = convert(buffer[index]) }
            done += count
        }
    }
}
