import Basics
import Checkpointing
import Kernels
import Optimization
import Transformer

// Between the flat arenas and the named tensors of a checkpoint.

extension ParameterLayout {
    /// The weights under their names, to be written.
    func sources(of weights: Buffer<Float>) -> [TensorSource] {
        parameters.map { source($0.name, $0.shape, weights, $0.range) }
    }

    /// What an optimizer remembers, under the tensors' names with a prefix, to be written.
    func sources(of moments: [Moments]) -> [TensorSource] {
        places(of: moments).map { source($0.name, $0.shape, $0.arena, $0.range) }
    }

    /// The tensors of a checkpoint that hold what an optimizer remembers, with their places in its arenas.
    func places(
        of moments: [Moments]
    ) -> [(name: String, shape: [Int], arena: Buffer<Float>, range: Range<Int>)] {
        moments.flatMap { moments in
            parameters.compactMap { parameter in
                moments.place(of: parameter.range).map {
                    (moments.prefix + parameter.name, parameter.shape, moments.arena, $0)
                }
            }
        }
    }

    private func source(
        _ name: String, _ shape: [Int], _ arena: Buffer<Float>, _ range: Range<Int>
    ) -> TensorSource {
        TensorSource(name: name, shape: shape) { body in
            let result = arena.withSpan(range) { values in Result { try body(values.bytes) } }
            try result.get()
        }
    }
}

extension Checkpoint {
    /// Reads weights, checked by `ResumePoint.requireFit`, and moments into their arenas; refuses values that are not
    /// finite.
    func readTensors(_ model: any LanguageModel, _ optimizer: any Optimizer) throws {
        let moments = model.layout.places(of: optimizer.moments)
        try self.optimizer.check(moments.map { (name: $0.name, shape: $0.shape) })
        for parameter in model.layout.parameters {
            try self.model.read(parameter.name, into: model.weights, parameter.range)
        }
        for tensor in moments { try self.optimizer.read(tensor.name, into: tensor.arena, tensor.range) }
    }
}

extension SafetensorsFile {
    fileprivate func read(_ name: String, into arena: Buffer<Float>, _ range: Range<Int>) throws {
        guard let entry = tensor(name) else { throw ExitError(.badInput, "\(path.shown) has no tensor \(name)") }
        try arena.withMutableSpan(range) { (values: inout MutableSpan<Float>) throws in
            try readFloats(entry, into: &values)
            try requireFinite(values.span, tensor: name, file: path)
        }
    }
}

extension ModelFiles {
    /// Reads all weights into an arena; of more positions than its model has, the first ones.
    package func read(into weights: Buffer<Float>, layout: ParameterLayout) throws {
        let shapes = Dictionary(uniqueKeysWithValues: description.tensors.map { ($0.name, $0.shape) })
        try WorkProgress.during("reading weights", of: layout.count, .parameters) {
            for parameter in layout.parameters {
                if let whole = shapes[parameter.name], whole != parameter.shape {
                    let values = try values(of: (name: parameter.name, shape: whole))
                    weights.set(Array(values.prefix(parameter.count)), at: parameter.offset)
                    continue
                }
                try weights.withMutableSpan(parameter.range) { (values: inout MutableSpan<Float>) throws in
                    try read(parameter.name, into: &values)
                }
                WorkProgress.advance(parameter.count, .parameters)
            }
        }
    }
}
