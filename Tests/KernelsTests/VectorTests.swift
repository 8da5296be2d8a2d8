// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Capital letters are dimensions, as in the literature and in the kernels.

import Kernels
import TestSupport
import Testing

@Suite struct VectorTests {
    /// Neighbours of the range stay as they are.
    @Test(arguments: [0..<0, 0..<1, 3..<20, 16..<48, 5..<100])
    func addAndCopy(range: Range<Int>) throws {
        var random = TestRandom(1)
        let source = try Operand(random.normal(100), Float.self)
        let target = try Operand(random.normal(100), Float.self)
        let sum = try Buffer<Float>(count: 100)
        sum.set(target.buffer.array())
        let copy = try Buffer<Float>(count: 100)
        Vector.add(source.buffer[range], into: sum[range])
        Vector.copy(source.buffer[range], into: copy[range])
        let (s, t) = (source.buffer.array(), target.buffer.array())
        #expect(sum.array() == (0..<100).map { range.contains($0) ? s[$0] + t[$0] : t[$0] })
        #expect(copy.array() == (0..<100).map { range.contains($0) ? s[$0] : 0 })
    }

    @Test(arguments: [0, 1, 17, 4096, 10_001], Precision.allCases)
    func addBranch(count: Int, precision: Precision) throws {
        switch precision {
        case .fp32: try checkBranch(count, Float.self)
        case .bf16: try checkBranch(count, BFloat16.self)
        }
    }

    private func checkBranch<E: ActivationElement>(_ count: Int, _: E.Type) throws {
        var random = TestRandom(UInt64(count))
        let residual = try Operand(random.normal(count), Float.self)
        let branch = try Operand(random.normal(count), E.self)
        let results = try onEachThreadCount("\(count) \(E.precision)") { compute in
            // One more element, which stays.
            let apart = try Buffer<Float>(count: count + 1)
            let together = try Buffer<Float>(count: count)
            together.set(residual.buffer.array())
            Vector.add(compute.pool, residual: residual.all, branch: branch.all, into: apart.all)
            Vector.add(compute.pool, residual: together.all, branch: branch.all, into: together.all)
            return ["apart": apart.array(), "together": together.array()]
        }
        let sums = zip(residual.buffer.array(), branch.buffer.floats).map { $0 + $1 }
        expectSame(results["apart"], sums + [0], "\(count) \(E.precision)")
        expectSame(results["together"], sums, "in place, \(count) \(E.precision)")
    }

    @Test(arguments: [0, 1, 15, 16, 17, 16384, 16385, 50_000])
    func sumOfSquares(count: Int) throws {
        var random = TestRandom(UInt64(count))
        let x = try Operand(random.normal(count, scale: 3), Float.self)
        let expected = x.values.reduce(0) { $0 + $1 * $1 }
        let sums = try (1...3).map { threads in
            // The pool's threads end with the object that owns it.
            let compute = try Compute(threadCount: threads)
            return try withExtendedLifetime(compute) {
                try Vector.sumOfSquares(compute.pool, x.all, sums: Vector.squareSums(count: count))
            }
        }
        #expect((sums[0] - expected).magnitude <= 1e-13 * expected)
        #expect(Set(sums.map(\.bitPattern)).count == 1)
    }

    /// Squares beyond fp32's range are no infinity.
    @Test func sumOfLargeSquares() throws {
        let sum = try Vector.sumOfSquares(
            Compute(threadCount: 1).pool, Operand([1e30, 1e-30], Float.self).all, sums: Vector.squareSums(count: 2))
        #expect((sum - 1e60).magnitude < 1e54)
    }

    @Test(arguments: [(1, 5), (63, 16), (64, 33), (65, 48), (257, 130), (1000, 3)])
    func columnSum(rows: Int, columns: Int) throws {
        try checkColumnSum(rows, columns, Float.self)
        try checkColumnSum(rows, columns, BFloat16.self)
    }

    private func checkColumnSum<E: ActivationElement>(_ N: Int, _ C: Int, _: E.Type) throws {
        var random = TestRandom(UInt64(N))
        let x = try Operand(random.normal(N * C), E.self)
        let results = try onEachThreadCount("[\(N), \(C)]") { compute in
            let sums = try Buffer<Float>(count: C)
            // More room than needed, with what an earlier sum of another shape left there.
            let partials = try Partials(rows: N + 64, columns: C + 5)
            for columns in [C + 5, C] {
                let source = try Operand(random.normal(N * columns), E.self)
                try ColumnSum.compute(
                    compute.pool, columns == C ? x.all : source.all, rows: N, columns: columns, partials: partials,
                    into: columns == C ? sums.all : Buffer(count: columns).all)
            }
            return ["sums": sums.array()]
        }
        expectClose(results["sums"], ReferenceKernels.columnSums(x.values, columns: C), scaled: 2e-6, "[\(N), \(C)]")
    }
}
