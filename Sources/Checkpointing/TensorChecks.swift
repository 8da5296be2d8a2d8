import Basics

/// A tensor that a file must have.
package typealias ExpectedTensor = (name: String, shape: [Int])

extension SafetensorsFile {
    /// Checks that the file has exactly these tensors, in these shapes and in one of these types.
    ///
    /// Throws 65 with everything that is missing, extra or of another shape or type, expected and found.
    package func check(_ expected: [ExpectedTensor], dataTypes: [TensorDataType] = [.f32]) throws {
        try requireTensors(expected, among: tensors, dataTypes: dataTypes, of: path)
    }
}

/// Throws 65 with all that is wrong between the tensors that a model has and those of a file.
func requireTensors(
    _ expected: [ExpectedTensor], among found: [TensorEntry], dataTypes: [TensorDataType], of path: FilePath
) throws {
    var lines: [String] = []
    var rest: [[UInt8]: TensorEntry] = [:]
    for tensor in found { rest[Array(tensor.name.utf8)] = tensor }
    for tensor in expected {
        guard let entry = rest.removeValue(forKey: Array(tensor.name.utf8)) else {
            lines.append("\(quoted(tensor.name)) is missing, expected shape \(tensor.shape)")
            continue
        }
        if entry.shape != tensor.shape {
            lines.append("\(quoted(tensor.name)) has shape \(entry.shape), expected \(tensor.shape)")
        }
        if !dataTypes.contains(entry.dataType) {
            let names = dataTypes.map(\.rawValue).joined(separator: " or ")
            lines.append("\(quoted(tensor.name)) has dtype \(entry.dataType.rawValue), expected \(names)")
        }
    }
    for tensor in found where rest[Array(tensor.name.utf8)] != nil {
        lines.append("\(quoted(tensor.name)) with shape \(tensor.shape) is not expected")
    }
    guard !lines.isEmpty else { return }
    let shown = lines.prefix(8).joined(separator: "; ")
    let more = lines.count > 8 ? "; and \(lines.count - 8) more" : ""
    throw ExitError(.badInput, "\(path.shown) does not fit the model: \(shown)\(more)")
}

/// How many values are NaN or infinite.
package func nonFiniteCount(_ values: Span<Float>) -> Int {
    var count = 0
    for index in values.indices {
        let bits = values[unchecked: index].bitPattern
        count &+= bits & 0x7F80_0000 == 0x7F80_0000 ? 1 : 0
    }
    return count
}

/// Throws 65, naming file, tensor and count, when a value is NaN or infinite. A hash does not tell: such a
/// tensor can have been saved faithfully.
package func requireFinite(_ values: Span<Float>, tensor: String, file: FilePath) throws {
    let count = nonFiniteCount(values)
    guard count == 0 else {
        throw ExitError(
            .badInput,
            "\(file.shown): tensor \(quoted(tensor)) has \(count) of \(values.count) values that are not finite; "
                + "use another checkpoint")
    }
}
