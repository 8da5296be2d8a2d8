import Basics
import Checkpointing
import Collectives
import TestSupport
import Testing
import Training
import Transformer

/// Training step by step against PyTorch, on one rank and more, with every cut of the global batch of 4.
@Suite struct CurveTests {
    /// Ranks and sequences of a micro-batch: A = 4, 2, 1 at one rank, 2, 1 at two, 1 at four.
    static let cuts = [(1, 1), (1, 2), (1, 4), (2, 1), (2, 2), (4, 1)]

    /// The limits are ten times torch's own rounding (the table in Tests/Reference/README.md).
    @Test(arguments: cuts)
    func fiftyStepsAgreeWithPyTorch(ranks: Int, microBatch: Int) throws {
        let golden = try Golden("gpt2-curve.safetensors")
        let record = try run(ranks, microBatch)
        let losses = try record.numbers("train_loss")
        let norms = try record.numbers("grad_norm")
        let rates = try record.numbers("lr")
        let expectedLosses = try golden.doubles("loss")
        let expectedNorms = try golden.doubles("grad_norm")
        // Update k uses the golden's rate k; the line of step k + 1 shows the rate after it. The last one is lr(S) = 0.
        let expectedRates = Array(try golden.doubles("learning_rate").dropFirst()) + [0]
        try #require(losses.count == Curve.steps)
        for k in 0..<Curve.steps {
            #expect((losses[k] - expectedLosses[k]).magnitude <= 1e-5 * expectedLosses[k], "loss of step \(k + 1)")
            #expect((norms[k] - expectedNorms[k]).magnitude <= 1e-5 * expectedNorms[k], "norm of step \(k + 1)")
            #expect((rates[k] - expectedRates[k]).magnitude <= 1e-15 * Curve.base, "rate of step \(k + 1)")
        }
        try checkFinalWeights(record, golden)
    }

    /// A sum can cancel, so its limit comes from the tensor's norm: an error of Frobenius size e moves it by √n · e.
    private func checkFinalWeights(_ record: RunRecord, _ golden: Golden) throws {
        let file = try SafetensorsFile(path: FilePath(record.checkpoint + "/model.safetensors"))
        #expect(file.tensors.count == 28)
        for tensor in file.tensors {
            let values = try file.floats(tensor).map(Double.init)
            let expected = try golden.doubles("final.\(tensor.name)")
            let limit = tensor.name.hasSuffix("attn.c_attn.bias") ? 1e-2 : 1e-5
            let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
            #expect((norm - expected[1]).magnitude <= limit * expected[1], "norm of \(tensor.name)")
            let slack = limit * expected[1] * Double(values.count).squareRoot()
            #expect((values.reduce(0, +) - expected[0]).magnitude <= slack, "sum of \(tensor.name)")
        }
    }

    /// A micro-batch of one, so 4, 2 and 1 of them a rank; then of two.
    @Test(arguments: [(1, [2, 4]), (2, [2])])
    func everyNumberOfRanksHasTheSameBits(microBatch: Int, others: [Int]) throws {
        let alone = try run(1, microBatch)
        for ranks in others {
            let record = try run(ranks, microBatch)
            for name in ["train_loss", "grad_norm", "lr", "tokens", "epoch"] {
                #expect(record.texts(name) == alone.texts(name), "\(name) at \(ranks) ranks")
            }
            #expect(record.hashes == alone.hashes, "\(ranks) ranks")
        }
    }

    @Test func ratesDoNotDependOnRanksOrAccumulation() throws {
        let traces = try Self.cuts.map { try run($0.0, $0.1).texts("lr") }
        #expect(traces[0].count == Curve.steps)
        #expect(traces.allSatisfy { $0 == traces[0] })
    }

    /// However many micro-batches a rank has: the gradient arena crosses between ranks once a step.
    @Test(arguments: [1, 2, 4], [2, 4])
    func oneReductionAStep(accumulation: Int, ranks: Int) throws {
        let directory = try TemporaryDirectory()
        var configuration = try Curve.configuration(runDirectory: directory.file("run"))
        configuration.globalBatch = accumulation * ranks
        let final = configuration
        let sent = try ThreadWorld.run(worldSize: ranks) { communicator in
            let communicator = CountingCommunicator(communicator)
            let trainer = try Trainer(final, communicator: communicator, reporter: SilentReporter())
            for _ in 0..<3 { _ = try trainer.trainingStep() }
            return (communicator.elementsSent, trainer.model.layout.count)
        }
        // What an allreduce of one arena takes, whatever the buckets.
        #expect(sent.reduce(0) { $0 + $1.0 } == 3 * 2 * (ranks - 1) * sent[0].1)
    }

    private func run(_ ranks: Int, _ microBatch: Int) throws -> RunRecord {
        let directory = try TemporaryDirectory()
        let runDirectory = directory.file("run")
        let configuration = try Curve.configuration(runDirectory: runDirectory, microBatch: microBatch)
        #expect(try train(configuration, ranks: ranks) == .finished)
        return try RunRecord(directory, runDirectory: runDirectory, step: Curve.steps)
    }
}
