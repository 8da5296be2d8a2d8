import COneDNN

/// What all oneDNN calls of one rank share: the engine, and a stream and scratch memory for each thread.
///
/// Primitives are created once, when a plan is made; a step only executes them.
public final class Compute: @unchecked Sendable {
    /// The rank's threads.
    public let pool: ThreadPool
    let engine: dnnl_engine_t
    let streams: [dnnl_stream_t]
    /// The packed right operand of one product at a time.
    let sharedOperand = PackedOperand()
    private var scratch: [Buffer<UInt8>]
    private var leftOperands: [Buffer<UInt8>]
    private let gathered: [Buffer<UInt8>]
    private var made: [MatmulShape: [OneDNNMatmul]] = [:]

    /// Starts the threads and oneDNN.
    public init(threadCount: Int) throws(KernelError) {
        pool = ThreadPool(threadCount: threadCount)
        var engine: dnnl_engine_t?
        try check(dnnl_engine_create(&engine, dnnl_cpu, 0), "create a CPU engine")
        guard let engine else { throw KernelError("oneDNN returned no engine") }
        self.engine = engine
        var streams: [dnnl_stream_t] = []
        for _ in 0..<threadCount {
            var stream: dnnl_stream_t?
            try check(
                dnnl_stream_create(&stream, engine, UInt32(dnnl_stream_default_flags.rawValue)), "create a stream")
            if let stream { streams.append(stream) }
        }
        self.streams = streams
        scratch = (0..<threadCount).map { _ in Buffer(count: 64) }
        leftOperands = (0..<threadCount).map { _ in Buffer(count: 64) }
        gathered = (0..<threadCount).map { _ in Buffer(count: Packing.gatheredBytes) }
    }

    deinit {
        for kernel in made.values.joined() { kernel.destroy() }
        pool.shutdown()
        for stream in streams { dnnl_stream_destroy(stream) }
        dnnl_engine_destroy(engine)
    }

    /// oneDNN primitives made so far.
    package var primitiveCount: Int { made.values.reduce(0) { $0 + $1.count } }

    /// One single-thread kernel for each thread, made at the first request for a shape.
    func kernels(for shape: MatmulShape) throws(KernelError) -> [OneDNNMatmul] {
        if let kernels = made[shape] { return kernels }
        var kernels: [OneDNNMatmul] = []
        for thread in 0..<pool.threadCount {
            let kernel = try OneDNNMatmul(shape, engine: engine, stream: streams[thread])
            kernels.append(kernel)
            growScratch(kernel.scratchBytes)
        }
        made[shape] = kernels
        return kernels
    }

    func scratchMemory(thread: Int) -> UnsafeMutableRawPointer { UnsafeMutableRawPointer(scratch[thread].base) }

    /// Kernels for a packed right operand; nil where oneDNN has none that would gain by it on this CPU.
    func packedKernels(for shape: MatmulShape) throws(KernelError) -> [OneDNNMatmul]? {
        var packed = shape
        packed.bPacked = true
        packed.bTransposed = false
        packed.bStride = 0
        do {
            let kernels = try kernels(for: packed)
            return kernels[0].isBlocked ? kernels : nil
        } catch  where error.isUnimplemented {
            return nil
        }
    }

    /// Memory of a thread for its part of a left operand that is stored transposed.
    func leftOperand(thread: Int) -> UnsafeMutableRawPointer { UnsafeMutableRawPointer(leftOperands[thread].base) }

    /// Memory of a thread for the rows that `Packing.transpose` turns.
    func gatheredRows(thread: Int) -> UnsafeMutableRawPointer { UnsafeMutableRawPointer(gathered[thread].base) }

    func reserveLeftOperand(_ bytes: Int) {
        guard bytes > leftOperands[0].count else { return }
        for thread in leftOperands.indices { leftOperands[thread] = Buffer(count: bytes) }
    }

    private func growScratch(_ bytes: Int) {
        guard bytes > scratch[0].count else { return }
        for thread in scratch.indices { scratch[thread] = Buffer(count: bytes) }
    }

    /// The version of the oneDNN library that runs, such as `2.6.3`.
    public static var libraryVersion: String {
        guard let version = dnnl_version()?.pointee else { return "unknown" }
        return "\(version.major).\(version.minor).\(version.patch)"
    }

    /// Whether this CPU multiplies bf16 numbers in hardware; without, oneDNN would fall back to a path that is
    /// hundreds of times slower.
    public static var hasFastBFloat16: Bool {
        let isa = dnnl_get_effective_cpu_isa().rawValue
        return isa & dnnl_cpu_isa_avx512_core_bf16.rawValue == dnnl_cpu_isa_avx512_core_bf16.rawValue
    }
}

func check(_ status: dnnl_status_t, _ action: @autoclosure () -> String) throws(KernelError) {
    guard status != dnnl_success else { return }
    let reason =
        switch status {
        case dnnl_out_of_memory: "out of memory"
        case dnnl_unimplemented: "not implemented for this CPU"
        case dnnl_invalid_arguments: "invalid arguments"
        default: "status \(status.rawValue)"
        }
    throw KernelError(
        "oneDNN \(Compute.libraryVersion) cannot \(action()): \(reason)",
        isUnimplemented: status == dnnl_unimplemented)
}
