import Basics
import Checkpointing
import Kernels
import Optimization
import Transformer

// Between the flat arenas and the named tensors of a checkpoint.

extension ParameterLayout {
    /// The tensors of an arena under their names, each with `prefix` before it, to be written.
    func sources(of arena: Buffer<Float>, prefix: String = "") -> [TensorSource] {
        parameters.map { parameter in
            TensorSource(name: prefix + parameter.name, shape: parameter.shape) { body in
                let result = arena.withSpan(parameter.range) { values in Result { try body(values.bytes) } }
                try result.get()
            }
        }
    }
}

enum MomentPrefix {
    static let first = "exp_avg."
    static let second = "exp_avg_sq."
}

extension Checkpoint {
    /// Reads weights, checked by `ResumePoint.requireFit`, and moments into their arenas; refuses values that are not
    /// finite.
    func readTensors(_ model: any LanguageModel, _ optimizer: AdamW) throws {
        let layout = model.layout
        try self.optimizer.check(
            [MomentPrefix.first, MomentPrefix.second].flatMap { prefix in
                layout.parameters.map { (name: prefix + $0.name, shape: $0.shape) }
            })
        try self.model.read(into: model.weights, layout, prefix: "")
        try self.optimizer.read(into: optimizer.firstMoments, layout, prefix: MomentPrefix.first)
        try self.optimizer.read(into: optimizer.secondMoments, layout, prefix: MomentPrefix.second)
    }
}

extension SafetensorsFile {
    fileprivate func read(into arena: Buffer<Float>, _ layout: ParameterLayout, prefix: String) throws {
        for parameter in layout.parameters {
            let name = prefix + parameter.name
            guard let entry = tensor(name) else {
                throw ExitError(.badInput, "\(path.shown) has no tensor \(name)")
            }
            try arena.withMutableSpan(parameter.range) { (values: inout MutableSpan<Float>) throws in
                try readFloats(entry, into: &values)
                try requireFinite(values.span, tensor: name, file: path)
            }
        }
    }
}

extension ModelFiles {
    /// Reads all weights into an arena; of more positions than its model has, the first ones.
    package func read(into weights: Buffer<Float>, layout: ParameterLayout) throws {
        let shapes = Dictionary(uniqueKeysWithValues: description.tensors.map { ($0.name, $0.shape) })
        for parameter in layout.parameters {
            if let whole = shapes[parameter.name], whole != parameter.shape {
                let values = try values(of: (name: parameter.name, shape: whole))
                weights.set(Array(values.prefix(parameter.count)), at: parameter.offset)
                continue
            }
            try weights.withMutableSpan(parameter.range) { (values: inout MutableSpan<Float>) throws in
                try read(parameter.name, into: &values)
            }
        }
    }
}
