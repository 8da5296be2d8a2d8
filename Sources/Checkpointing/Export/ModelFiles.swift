import Basics
import Transformer

/// A model open for reading: its shape, and its weights as fp32 whatever they are stored in.
package protocol ModelFiles: Sendable {
    /// The directory or the file.
    var path: FilePath { get }
    /// The model's shape, and the ids that begin and end a text.
    var description: ModelDescription { get }

    /// Copies a tensor, named and laid out as in `description.tensors`.
    ///
    /// - Precondition: `values` has exactly the tensor's number of elements.
    /// - Throws: `ExitError` (65) for values that are not finite, naming the tensor; `FileSystemError` where reading fails.
    func read(_ name: String, into values: inout MutableSpan<Float>) throws
}

extension HuggingFaceModelFiles: ModelFiles {}

extension ModelFiles {
    /// A whole tensor, in memory of its own.
    /// - Throws: as `read`.
    package func values(of tensor: ExpectedTensor) throws -> [Float] {
        var values = [Float](repeating: 0, count: tensor.shape.reduce(1, *))
        var span = values.mutableSpan
        try read(tensor.name, into: &span)
        return values
    }

    /// A tensor of the model, to be written under another name, in another type and order.
    ///
    /// It is read when its turn comes, so that an export holds one tensor at a time.
    /// - Parameter arranged: makes the elements as they are written of those as they are read.
    func source(
        _ tensor: ExpectedTensor, name: String? = nil, shape: [Int]? = nil, as type: ExportedType,
        arranged: @escaping ([Float]) -> [Float] = { $0 }
    ) -> TensorSource {
        TensorSource(name: name ?? tensor.name, dataType: type.dataType, shape: shape ?? tensor.shape) { body in
            let values = arranged(try self.values(of: tensor))
            try type.withBytes(of: values.span, tensor: tensor.name, body)
        }
    }
}

/// [rows, columns] as [columns, rows].
func transposed(_ values: [Float], rows: Int, columns: Int) -> [Float] {
    precondition(values.count == rows * columns)
    var result = [Float](repeating: 0, count: values.count)
    // A cache line of the source at a time.
    for first in stride(from: 0, to: columns, by: 16) {
        for row in 0..<rows {
            for column in first..<min(first + 16, columns) {
                result[column * rows + row] = values[row * columns + column]
            }
        }
    }
    return result
}

/// The rows of [rows, columns] in another order: row i of the result is row `order(i)`.
func reordered(_ values: [Float], rows: Int, _ order: (Int) -> Int) -> [Float] {
    precondition(values.count % rows == 0)
    let columns = values.count / rows
    var result: [Float] = []
    result.reserveCapacity(values.count)
    for row in 0..<rows {
        let source = order(row)
        result += values[source * columns..<(source + 1) * columns]
    }
    return result
}
