import Basics
import Glibc
import Kernels
import Testing

/// Memory and threads that the system does not have, and libraries that fail: errors, and never a signal.
@Suite struct MemoryTests {
    @Test("T1: a buffer that no machine has room for is an error", arguments: [1 << 50, 1 << 60, 1 << 62, Int.max])
    func tooLarge(count: Int) throws {
        let error = try #require(throws: KernelError.self) { try Buffer<Double>(count: count) }
        #expect(error.exitCode == .usage)
        #expect(error.description.contains("no room for") && error.description.contains("--micro-batch"))
    }

    @Test("T1: a plan counts what is reserved, and no product overflows") func plansCount() throws {
        let plan = Memory(planningWithin: 1 << 20)
        var small: Buffer<Float> = try plan.buffer(.weights, 10, 100)
        #expect(small.count == 1000 && plan.bytes == [.weights: 4096])
        try plan.grow(&small, to: 999, .weights)
        try plan.grow(&small, to: 5000, .weights)
        #expect(small.count == 5000 && plan.bytes == [.weights: 20480])
        try plan.requireRoom()
        let _: Buffer<UInt8> = try plan.buffer(.logits, 1 << 21)
        #expect(throws: KernelError.self) { try plan.requireRoom() }
        for factors in [(1 << 62, 2), (Int.max, 1), (1 << 40, 1 << 40)] {
            let plan = Memory(planningWithin: .max - 1)
            let buffer: Buffer<Float> = try plan.buffer(.logits, factors.0, factors.1)
            #expect(buffer.byteCount == .max && plan.total == .max)
            let _: Buffer<Float> = try plan.buffer(.weights, 1000)
            #expect(plan.total == .max)
            #expect(throws: KernelError.self) { try plan.requireRoom() }
        }
        let real = Memory()
        let buffer: Buffer<Float> = try real.buffer(.weights, 10, 100)
        #expect(buffer.array() == [Float](repeating: 0, count: 1000) && real.bytes == [.weights: 4096])
    }

    /// The address space of a process of its own ends a little above what it has: nothing but errors from there on.
    @Test("T4, H2: without address space, buffers and threads are errors") func noAddressSpace() async {
        await #expect(processExitsWith: .success) {
            try limitAddressSpace(beyond: 40 << 20)
            var buffers: [Buffer<UInt8>] = []
            #expect(throws: KernelError.self) {
                while buffers.count < 100 { buffers.append(try Buffer<UInt8>(count: 3 << 20)) }
            }
            // Each worker has a stack of its own.
            let error = try #require(throws: KernelError.self) { try ThreadPool(threadCount: 200) }
            #expect(error.exitCode == .usage && error.description.contains("--threads"))
            buffers.removeAll()
            // What was started before the failure is gone again, and the memory that is left works.
            let pool = try ThreadPool(threadCount: 2)
            pool.run { _ in }
            pool.shutdown()
        }
    }

    @Test("T1: a product that fails in a thread reaches who uses its result") func failedProduct() throws {
        let compute = try Compute(threadCount: 2)
        let product = try Matmul(
            Workspace(compute), .plain, rows: 64, inner: 8, columns: 8, input: .fp32, output: .fp32)
        let memory = try Buffer<Float>(count: 64 * 8)
        product.run(memory.all, memory[0..<64], into: try Buffer<Float>(count: 64 * 8).all)
        try compute.requireSuccess()
        compute.failNextProduct()
        product.run(memory.all, memory[0..<64], into: try Buffer<Float>(count: 64 * 8).all)
        let error = try #require(throws: KernelError.self) { try compute.requireSuccess() }
        #expect(error.exitCode == .internalError && error.description.contains("out of memory"))
        // Told once.
        try compute.requireSuccess()
    }

    @Test("T5: this test's own CPU has what the kernels are compiled for") func compiledFeatures() {
        let needed = String(cString: compiledProcessorFeatures()).split(separator: " ").map(String.init)
        #expect(missingProcessorFeatures(of: compiledProcessorFeatures()) == nil)
        if Compute.hasFastBFloat16 { #expect(needed.isEmpty || needed.contains("avx2")) }
    }
}

/// Ends the address space this many bytes above what the process has now.
private func limitAddressSpace(beyond bytes: Int) throws {
    let file = try #require(fopen("/proc/self/statm", "r"))
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 100)
    try #require(fgets(&line, 100, file) != nil)
    let pages = try #require(
        UInt(String(decoding: line.prefix { $0 != 32 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)))
    var limit = rlimit(rlim_cur: pages * 4096 + UInt(bytes), rlim_max: rlim_t.max)
    try #require(setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0)
}
