import Foundation
import Kernels
import Testing
import TokenData
import Training
import Transformer

/// M: the arithmetic of `swiftlet bench`, on measurements that are made up.
@Suite struct BenchmarkTests {
    /// 8,320 parameters: 100 · 16 + 8 · 16 + 2 · (12 · 16² + 13 · 16) + 2 · 16.
    private static func shape() throws -> DecoderConfiguration {
        try DecoderConfiguration(vocabularySize: 100, contextLength: 8, embeddingSize: 16, layerCount: 2, headCount: 2)
    }

    private static var ceilings: MachineCeilings {
        var ceilings = MachineCeilings()
        ceilings.matmulAlone = ["fp32": 2.5, "bf16": 5]
        ceilings.matmulTogether = ["fp32": 2, "bf16": 4]
        ceilings.memoryGigabytes = 3
        ceilings.reductionGigabytes = 0.5
        return ceilings
    }

    /// Three steps in which phase p takes 3 · p, p and 2 · p ms, p its place in the list from 1.
    private static func timelines(_ phases: [Phase] = phases) -> [[Timeline.Event]] {
        ([3, 1, 2] as [UInt64]).map { factor in
            phases.map { phase in
                Timeline.Event(phase: phase, start: 500, end: 500 + factor * UInt64(place(phase)) * 1_000_000)
            }
        }
    }

    /// Every phase there is.
    private static let phases: [Phase] =
        [
            .step, .forward, .head, .backward, .update, .layer, .data, .embedding, .norm, .activation, .biasGradient,
            .attentionForward, .attentionBackward, .crossEntropy, .reduction, .waiting, .gradientNorm, .optimizer,
            .bucket, .headPlacement, .dropout, .orthogonalization, .matrixExchange,
        ] + MatrixProduct.allCases.flatMap(products)

    private static func products(_ product: MatrixProduct) -> [Phase] {
        [.product(product, .forward), .product(product, .inputGradient), .product(product, .weightGradient)]
    }

    private static func place(_ phase: Phase) -> Double { Double((phases.firstIndex(of: phase) ?? 0) + 1) }

    private static func report(
        ranks: Int = 2, precision: Precision = .fp32, timelines: [[Timeline.Event]] = timelines(),
        muon: MuonWork? = muon
    ) throws -> Benchmark.Report {
        Benchmark.Report(
            try shape(), try BatchPlan(globalBatch: 6, microBatch: 3, worldSize: ranks), threads: 3,
            precision: precision, ceilings: ceilings, milliseconds: 40, utilization: 0.75, instructionUtilization: 0.5,
            peakMemory: 321,
            timelines: timelines, muon: muon)
    }

    /// Of 16 × 48, 16 × 16 and 64 × 16 the middle one is another rank's.
    private static var muon: MuonWork {
        let shapes = [(16, 48), (16, 16), (64, 16)].map { MatrixShape(rows: $0.0, columns: $0.1) }
        return MuonWork(shapes, precision: .bf16) { $0 != 1 }
    }

    @Test func theMedianIsTheMiddle() {
        #expect(median([]) == 0)
        #expect(median([5]) == 5)
        #expect(median([9, 1, 5]) == 5)
        #expect(median([4, 9, 1, 5]) == 4.5)
        #expect(median([7, 7, 7, 1000]) == 7)
    }

    @Test(arguments: [
        (1, [1]), (4, [1, 1, 1, 1]), (5, [1, 1, 1, 1, 1]), (7, [1, 1, 2, 1, 2]), (13, [2, 3, 2, 3, 3]),
    ])
    func everyStepIsInOneRound(steps: Int, expected: [Int]) {
        let rounds = min(5, steps)
        #expect((0..<rounds).map { Benchmark.steps(ofRound: $0, of: rounds, steps: steps) } == expected)
    }

    /// What each part needs at 2 GFLOP/s, 3 GB/s and 0.5 GB/s of sums, with 24 tokens a rank: operations and bytes
    /// counted by hand.
    @Test("M: the floors under the parts of a step")
    func floors() throws {
        let flops = 1 / 2e6
        let bytes = 1 / 3e6
        let parameters = 8320.0
        let rows = 24.0
        let products: Double = (1 + 2) * 16 * 16 * (48 + 64)
        let squares: Double = 2 * 16 * 16 * 16
        let expected: [(String, Double)] = [
            ("matmul qkv", 3 * 2 * (2 * rows * 16 * 48) * flops),
            ("matmul attention out", 3 * 2 * (2 * rows * 16 * 16) * flops),
            ("matmul mlp in", 3 * 2 * (2 * rows * 16 * 64) * flops),
            ("matmul mlp out", 3 * 2 * (2 * rows * 64 * 16) * flops),
            ("matmul head", 3 * (2 * rows * 16 * 100) * flops),
            // Of each query's 8 keys half on average, 16 multiplications and additions each, 2 and 5 products.
            ("attention forward", 2 * 2 * (2 * rows * 4 * 16) * flops),
            ("attention backward", 5 * 2 * (2 * rows * 4 * 16) * flops),
            ("cross-entropy", 2 * (rows * 100 * 4) * bytes),
            // Five norms: stream and branch in, stream and norm out, then two in, the stream in and out, two out.
            ("norms and residuals", 5 * (rows * 16) * (4 + 4 + 4 + 4 + 4 + 4 + 4 + 4 + 4 + 4) * bytes),
            // Queries and keys in and out, forward and backward.
            ("rotary, head norms", 2 * (rows * 32) * 4 * 4 * bytes),
            ("activation", 2 * (rows * 64) * 6 * 4 * bytes),
            // Two branches: in and out, then the stream's gradient and three times its operand.
            ("dropout", 2 * 2 * (rows * 16) * 6 * 4 * bytes),
            ("bias gradients", 2 * (rows * 48) * 4 * bytes),
            ("embeddings", 2 * (rows * 16) * 12 * bytes),
            // Gradient, weight and two moments in, the last three out.
            ("optimizer", parameters * 7 * 4 * bytes),
            // Five times: x·xᵀ and the square, of which half is computed, and a whole product.
            ("Newton-Schulz", 5 * (products + squares) / 4e6),
            // The middle one, read and written.
            ("matrix exchange", 2 * (16 * 16) * 4 * bytes),
            ("gradient norm", parameters * 4 * bytes),
            ("reduction", parameters * 4 / 0.5e6),
            ("waiting", 0), ("reading tokens", 0),
        ]
        let parts = try Self.report().breakdown.parts
        #expect(parts.map(\.name) == expected.map(\.0))
        for (part, (name, floor)) in zip(parts, expected) {
            #expect((part.floorMilliseconds - floor).magnitude <= 1e-12 * floor, "\(name): \(part)")
        }
    }

    /// In bf16 the products run at their own ceiling, activations have 2 bytes, and AdamW writes 2 more.
    @Test func floorsInBF16() throws {
        let parts = try Self.report(precision: .bf16).breakdown.parts
        func floor(_ name: String) -> Double { parts.first { $0.name == name }?.floorMilliseconds ?? .nan }
        #expect((floor("matmul mlp in") - 3 * 2 * (2 * 24 * 16 * 64) / 4e6).magnitude < 1e-12)
        #expect((floor("cross-entropy") - 2 * 24 * 100 * 2 / 3e6).magnitude < 1e-12)
        #expect((floor("norms and residuals") - 5 * 24 * 16 * 30 / 3e6).magnitude < 1e-12)
        #expect((floor("activation") - 2 * 24 * 64 * 6 * 2 / 3e6).magnitude < 1e-12)
        #expect((floor("bias gradients") - 2 * 24 * 48 * 2 / 3e6).magnitude < 1e-12)
        #expect((floor("optimizer") - 8320 * 30 / 3e6).magnitude < 1e-12)
    }

    @Test func partsAreMediansAndLeastsOfSteps() throws {
        let parts = try Self.report().breakdown.parts
        let phases: [String: [Phase]] = [
            "matmul qkv": Self.products(.queryKeyValue),
            "attention forward": [.attentionForward], "attention backward": [.attentionBackward],
            "cross-entropy": [.crossEntropy], "norms and residuals": [.norm], "activation": [.activation],
            "rotary, head norms": [.headPlacement], "dropout": [.dropout], "bias gradients": [.biasGradient],
            "embeddings": [.embedding], "optimizer": [.optimizer],
            "Newton-Schulz": [.orthogonalization], "matrix exchange": [.matrixExchange],
            "gradient norm": [.gradientNorm], "reduction": [.reduction], "waiting": [.waiting],
            "reading tokens": [.data],
            "matmul head": Self.products(.head), "matmul mlp out": Self.products(.contraction),
            "matmul mlp in": Self.products(.expansion), "matmul attention out": Self.products(.attentionProjection),
        ]
        for part in parts {
            let sum = try #require(phases[part.name]).reduce(0) { $0 + Self.place($1) }
            #expect((part.milliseconds - 2 * sum).magnitude < 1e-9, "\(part)")
            #expect((part.bestMilliseconds - sum).magnitude < 1e-9, "\(part)")
        }
        // A part that did not occur is left out.
        let few = try Self.report(timelines: Self.timelines([.optimizer, .step, .layer, .bucket, .forward]))
        #expect(few.breakdown.parts.map(\.name) == ["optimizer"])
    }

    /// Operations over the median time: 2 layers · 2 · 24 · 16 · 64 of mlp in, and so on.
    @Test func speedsOfProducts() throws {
        let products = try Self.report().breakdown.products
        #expect(products.map(\.name) == ["qkv", "attention out", "mlp in", "mlp out", "head"])
        let operations: [Double] = [
            2 * 2 * 24 * 16 * 48, 2 * 2 * 24 * 16 * 16, 2 * 2 * 24 * 16 * 64, 2 * 2 * 24 * 64 * 16, 2 * 24 * 16 * 100,
        ]
        let phases = ([.queryKeyValue, .attentionProjection, .expansion, .contraction, .head] as [MatrixProduct])
            .map(Self.products)
        for (index, product) in products.enumerated() {
            for (speed, phase) in zip([product.forward, product.inputGradient, product.weightGradient], phases[index]) {
                let expected = operations[index] / (2 * Self.place(phase) * 1e6)
                #expect((speed - expected).magnitude < 1e-9 * expected, "\(product.name), \(phase)")
            }
        }
    }

    /// 6 sequences of 8 tokens in 40 ms.
    @Test("M: tokens a second, FLOP/s, MFU and the share of averaging", arguments: [1, 2])
    func sums(ranks: Int) throws {
        let report = try Self.report(ranks: ranks)
        #expect(report.ranks == ranks && report.threadsPerRank == 3 && report.steps == 3)
        #expect(report.parameters == 8320 && report.globalBatch == 6 && report.microBatch == 3)
        #expect(report.contextLength == 8 && report.precision == "fp32")
        #expect(report.stepMilliseconds == 40)
        #expect(report.tokensPerSecond == 1200)
        // 6 · (8320 − 8 · 16) + 12 · 2 · 16 · 8 operations a token.
        #expect((report.modelGigaflops - 1200 * (6 * 8192 + 3072) / 1e9).magnitude < 1e-12)
        #expect(report.modelFlopsUtilization == 0.75 && report.peakMemoryMegabytes == 321)
        let averaging = 2 * (Self.place(.reduction) + Self.place(.waiting))
        #expect((report.averagingShare - averaging / 40).magnitude < 1e-12)
        let newtonSchulz = 2 * Self.place(.orthogonalization)
        let update = newtonSchulz + 2 * (Self.place(.optimizer) + Self.place(.matrixExchange))
        #expect((report.optimizerShare - update / 40).magnitude < 1e-12 && report.optimizer == "muon")
        #expect(((report.newtonSchulzShare ?? -1) - newtonSchulz / 40).magnitude < 1e-12)
        #expect(report.muonPrecision == "bf16")
        let plain = try Self.report(ranks: ranks, muon: nil)
        #expect(plain.optimizer == "adamw" && plain.newtonSchulzShare == nil && plain.muonPrecision == nil)
        // The rows of a rank are its share of the tokens.
        let head = try #require(report.breakdown.parts.first { $0.name == "matmul head" })
        #expect((head.floorMilliseconds - 3 * 2 * (48 / Double(ranks)) * 16 * 100 / 2e6).magnitude < 1e-12)
    }

    /// 3 GFLOP in 2 ms, the middle of three times, are 1500 GFLOP/s.
    @Test("M: utilization is of the median time") func utilization() {
        #expect(Benchmark.utilization(flops: 3e9, milliseconds: [9, 1, 2], ceiling: 2000) == 0.75)
    }

    @Test func theTextHasEveryNumber() throws {
        let report = try Self.report()
        let lines = report.text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        #expect(lines.contains("  matmul fp32   one rank alone 2.5 GFLOP/s, all 2 at once 4.0 GFLOP/s"))
        #expect(lines.contains("  matmul bf16   one rank alone 5.0 GFLOP/s, all 2 at once 8.0 GFLOP/s"))
        #expect(lines.contains("  memory        3.0 GB/s a rank, read and written"))
        #expect(lines.contains("  reduction     0.50 GB/s of summed gradients"))
        #expect(lines.contains("step: 8320 parameters, fp32, 2 ranks × 3 threads, 6 sequences of 8, median of 3"))
        let table = lines.drop { !$0.hasPrefix("  part ") }.prefix { !$0.isEmpty }
        func words(_ name: String) -> [String]? {
            table.first { $0.hasPrefix("  \(name)  ") }?.dropFirst(22).split(separator: " ").map(String.init)
        }
        for part in report.breakdown.parts {
            let share = 100 * part.milliseconds / 40
            #expect(
                words(part.name) == [
                    two(part.milliseconds), one(share), "%", two(part.bestMilliseconds), two(part.floorMilliseconds),
                ], "\(part.name)")
        }
        let known = report.breakdown.parts.reduce(0) { $0 + $1.milliseconds }
        #expect(words("everything else") == [two(40 - known), one(100 * (40 - known) / 40), "%"])
        #expect(words("step") == ["40.00"])
        #expect(lines.contains { $0.hasPrefix("tokens/s ") && $0.hasSuffix(" 1200.0") })
        #expect(lines.contains { $0.hasPrefix("share of the ceiling ") && $0.contains(" 75.0 %") })
        #expect(
            lines.contains {
                $0.hasPrefix("averaging, waiting ") && $0.contains(" \(two(100 * report.averagingShare)) % of a step")
            })
        let shares = [report.optimizerShare, try #require(report.newtonSchulzShare)].map { two(100 * $0) }
        let muon = " \(shares[0]) % of a step (muon), Newton-Schulz \(shares[1]) % (bf16)"
        #expect(
            lines.contains { $0.hasPrefix("optimizer  ") && $0.hasSuffix(muon) })
        #expect(try Self.report(muon: nil).text.contains(" % of a step (adamw)\n"))
        #expect(lines.contains { $0.hasPrefix("peak memory a rank ") && $0.hasSuffix(" 321 MB") })
    }

    private func one(_ value: Double) -> String { String(format: "%.1f", value) }
    private func two(_ value: Double) -> String { String(format: "%.2f", value) }

    /// The Makefile's `bench` reads two of its numbers line by line.
    @Test func theJSONComesBack() throws {
        let report = try Self.report()
        let again = try JSONDecoder().decode(Benchmark.Report.self, from: Data(report.json.utf8))
        #expect(again.json == report.json)
        #expect(again.text == report.text)
        #expect(report.json.contains("\n  \"tokensPerSecond\" : 1200\n"))
        #expect(report.json.contains("\n  \"modelFlopsUtilization\" : 0.75,\n"))
    }
}
