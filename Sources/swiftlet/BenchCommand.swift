import ArgumentParser
import Collectives
import Training

/// `swiftlet bench`
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure this machine's ceilings, time a training step and say where its time goes.",
        discussion: "Without options: the reference shape, 6 layers, 6 heads, 384, vocabulary 8192, context 256.")

    @Option(help: "Transformer blocks.") var layers = 6
    @Option(help: "Attention heads.") var heads = 6
    @Option(help: "Width of the model.") var embeddingSize = 384
    @Option(help: "Tokens of one sequence.") var contextLength = 256
    @Option(help: "Vocabulary.") var vocabSize = 8192
    @Option(help: "Sequences that a rank computes at once.") var microBatch = 8
    @Option(help: "Micro-batches of a rank in one step.") var accumulation = 1
    @Option(help: "auto, fp32 or bf16.") var precision = "auto"
    @Option(help: "exact or mpi.") var reduction = "exact"
    @Option(help: "Threads of a rank, or auto.") var threads = "auto"
    @Option(help: "KiB of gradients that are reduced at a time. (default: an eighth of them, 1024 to 8192)")
    var bucket: Int?
    @Option(help: "messages, none or thread.") var overlap = "messages"
    @Option(help: "Steps to time.") var steps = 10
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        for (name, value) in [
            ("steps", steps), ("micro-batch", microBatch), ("accumulation", accumulation), ("bucket", bucket ?? 1),
        ]
        where value < 1 { throw ValidationError("--\(name) is \(value), expected 1 or more") }
    }

    func run() throws {
        var configuration = TrainingConfiguration()
        let options = [
            ("layers", "\(layers)"), ("heads", "\(heads)"), ("embedding-size", "\(embeddingSize)"),
            ("context-length", "\(contextLength)"), ("vocab-size", "\(vocabSize)"), ("micro-batch", "\(microBatch)"),
            ("precision", precision), ("reduction", reduction), ("overlap", overlap), ("threads", threads),
            // Set again once MPI says how many ranks there are; its parts are checked here.
            ("train-data", "random"), ("run-dir", "none"),
        ]
        for (name, value) in options { try configuration.set(name, value) }
        try configuration.validate()
        configuration.bucketBytes = bucket.map { $0 << 10 }
        let checked = configuration
        try withCommunicator { communicator in
            var sized = checked
            try sized.set("global-batch", "\(microBatch * accumulation * communicator.worldSize)")
            let report = try Benchmark.run(sized, steps: steps, communicator: communicator)
            if communicator.rank == 0 { print(json ? report.json : report.text) }
        }
    }
}
