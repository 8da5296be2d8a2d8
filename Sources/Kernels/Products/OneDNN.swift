import COneDNN
import Synchronization

/// What all oneDNN calls of one rank share: the engine, a stream for each thread, and the primitives.
///
/// Primitives are created once, when a plan is made; a step only executes them.
package final class Compute: @unchecked Sendable {
    /// The rank's threads.
    package let pool: ThreadPool
    private let engine: dnnl_engine_t
    private let streams: [dnnl_stream_t]
    private var made: [MatmulShape: [OneDNNMatmul]] = [:]
    /// The first status but success that a product ended with, since it was asked for.
    private let failure = Atomic<UInt32>(dnnl_success.rawValue)

    /// Starts oneDNN and the threads.
    /// - Throws: `KernelError`: 64 for more threads than the system has, 70 when oneDNN fails.
    package init(threadCount: Int) throws(KernelError) {
        var engine: dnnl_engine_t?
        try check(dnnl_engine_create(&engine, dnnl_cpu, 0), "create a CPU engine")
        guard let engine else { throw KernelError(description: "oneDNN returned no engine") }
        self.engine = engine
        var streams: [dnnl_stream_t] = []
        for _ in 0..<threadCount {
            var stream: dnnl_stream_t?
            try check(
                dnnl_stream_create(&stream, engine, UInt32(dnnl_stream_default_flags.rawValue)), "create a stream")
            if let stream { streams.append(stream) }
        }
        self.streams = streams
        pool = try ThreadPool(threadCount: threadCount)
    }

    deinit {
        pool.shutdown()
        made = [:]
        let released = streams.map { dnnl_stream_destroy($0) } + [dnnl_engine_destroy(engine)]
        assert(released.allSatisfy { $0 == dnnl_success }, "oneDNN cannot release what it made")
    }

    /// oneDNN primitives made so far.
    package var primitiveCount: Int { made.values.reduce(0) { $0 + $1.count } }

    /// One single-thread kernel for each thread, made at the first request for a shape.
    func kernels(for shape: MatmulShape) throws(KernelError) -> [OneDNNMatmul] {
        if let kernels = made[shape] { return kernels }
        var kernels: [OneDNNMatmul] = []
        for stream in streams { kernels.append(try OneDNNMatmul(shape, engine: engine, stream: stream)) }
        made[shape] = kernels
        return kernels
    }

    /// Kernels for a packed right operand; nil where oneDNN has none that would gain by it on this CPU.
    func packedKernels(for shape: MatmulShape) throws(KernelError) -> [OneDNNMatmul]? {
        do {
            let kernels = try kernels(for: shape)
            return kernels[0].isBlocked ? kernels : nil
        } catch  where error.isUnimplemented {
            return nil
        }
    }

    /// Keeps what a product said that ran on any thread.
    func note(_ status: dnnl_status_t) {
        guard status != dnnl_success else { return }
        _ = failure.compareExchange(
            expected: dnnl_success.rawValue, desired: status.rawValue, ordering: .relaxed)
    }

    /// Throws what went wrong in products since the last call. Their results are void then; whoever uses them asks here
    /// first.
    package func requireSuccess() throws(KernelError) {
        let status = failure.exchange(dnnl_success.rawValue, ordering: .relaxed)
        try check(dnnl_status_t(rawValue: status), "compute a matrix product")
    }

    /// Makes the next `requireSuccess` throw, for tests.
    package func failNextProduct() { note(dnnl_out_of_memory) }

    /// The version of the oneDNN library that runs, such as `2.6.3`.
    package static var libraryVersion: String {
        guard let version = dnnl_version()?.pointee else { return "unknown" }
        return "\(version.major).\(version.minor).\(version.patch)"
    }

    /// Whether this CPU multiplies bf16 numbers in hardware; without, oneDNN would fall back to a path that is
    /// hundreds of times slower.
    package static var hasFastBFloat16: Bool {
        has(dnnl_cpu_isa_avx512_core_bf16)
    }

    /// Whether this CPU has a unit for whole matrices of bf16 (AMX), which oneDNN uses, and our own products do not.
    package static var hasMatrixUnit: Bool { has(dnnl_cpu_isa_avx512_core_amx) }

    private static func has(_ features: dnnl_cpu_isa_t) -> Bool {
        dnnl_get_effective_cpu_isa().rawValue & features.rawValue == features.rawValue
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
        description: "oneDNN \(Compute.libraryVersion) cannot \(action()): \(reason)",
        isUnimplemented: status == dnnl_unimplemented)
}
