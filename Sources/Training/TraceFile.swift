import Basics
import Kernels

/// A timeline in Chrome's trace-event format: open it in Perfetto or chrome://tracing.
///
/// One row a rank. Slices lie inside one another: step, phase, layer, piece of work; in a reduction, a slice for what was
/// done for each bucket.
enum TraceFile {
    /// The events of one rank as lines of JSON, times in microseconds from `origin`.
    static func lines(_ events: [Timeline.Event], rank: Int, origin: UInt64) -> String {
        // What holds other slices comes before them, though it ends after them.
        let ordered = events.sorted { ($0.start, $1.end) < ($1.start, $0.end) }
        return ordered.map { event in
            let start = Double(event.start &- origin) / 1000
            let duration = Double(event.end &- event.start) / 1000
            let (name, category, index) = event.description
            var members: [(String, JSONText)] = [
                ("name", .string(name)), ("cat", .string(category)), ("ph", "X"), ("pid", .number(rank)),
                ("tid", .number(0)), ("ts", .number(start)), ("dur", .number(duration)),
            ]
            if let index { members.append(("args", .object([(index, .number(event.index))]))) }
            return JSONText.object(members).text
        }.joined(separator: ",\n")
    }

    /// Writes the ranks' lines as one file.
    static func write(_ ranks: [String], to path: FilePath) throws(FileSystemError) {
        let names = ranks.indices.map { rank in
            JSONText.object([
                ("name", "process_name"), ("ph", "M"), ("pid", .number(rank)),
                ("args", .object([("name", .string("rank \(rank)"))])),
            ]).text
        }
        let text = "[\n" + (names + ranks.filter { !$0.isEmpty }).joined(separator: ",\n") + "\n]\n"
        try LocalFileSystem().replaceFile(path, with: Array(text.utf8))
    }
}

extension Timeline.Event {
    /// The slice's name, its category, and what its index counts.
    fileprivate var description: (name: String, category: String, index: String?) {
        switch phase {
        case .step: ("step \(index)", "step", "step")
        case .forward, .head, .backward, .update: ("\(phase)", "phase", nil)
        case .layer: ("h.\(index)", "layer", "layer")
        case .bucket: ("bucket \(index)", "bucket", "bucket")
        default: (phase.work, "work", index >= 0 ? "layer" : nil)
        }
    }
}

extension Phase {
    /// The piece of work in the words of the model's tensors; dx and dw are the gradients of a product's input and weight.
    fileprivate var work: String {
        switch self {
        case .queryKeyValueForward: "c_attn"
        case .queryKeyValueInputGradient: "c_attn dx"
        case .queryKeyValueWeightGradient: "c_attn dw"
        case .attentionProjectionForward: "attn.c_proj"
        case .attentionProjectionInputGradient: "attn.c_proj dx"
        case .attentionProjectionWeightGradient: "attn.c_proj dw"
        case .expansionForward: "c_fc"
        case .expansionInputGradient: "c_fc dx"
        case .expansionWeightGradient: "c_fc dw"
        case .contractionForward: "mlp.c_proj"
        case .contractionInputGradient: "mlp.c_proj dx"
        case .contractionWeightGradient: "mlp.c_proj dw"
        case .headForward: "lm_head"
        case .headInputGradient: "lm_head dx"
        case .headWeightGradient: "lm_head dw"
        case .attentionForward, .attentionBackward: "attention"
        case .activation: "GELU"
        case .crossEntropy: "cross-entropy"
        case .biasGradient: "bias gradient"
        case .gradientNorm: "gradient norm"
        default: "\(self)"
        }
    }
}
