import COneDNN

// M, N, K: c[M, N] = a[M, K] · b[K, N], row-major; `Stride`: elements from one row to the next in memory;
// a transposed operand is stored [K, M] (a) or [N, K] (b).

/// The shape, strides and types of one matrix product.
struct MatmulShape: Hashable {
    var m: Int
    var n: Int
    var k: Int
    var aStride: Int
    var aTransposed = false
    var bStride: Int
    var bTransposed = false
    /// b lies in a `PackedOperand`; its stride does not count.
    var bPacked = false
    var cStride: Int
    var input: Precision
    var output: Precision
    /// Adds a row vector of N fp32 numbers to every row.
    var bias = false
    /// Adds to what c holds instead of overwriting it.
    var accumulates = false
}

/// One oneDNN matmul for one thread: made once, executed at any addresses.
final class OneDNNMatmul {
    let scratchBytes: Int
    /// Whether oneDNN computes it block by block in generated code, with all its memory in the scratch: the way that a
    /// packed operand is for. Others allocate memory at each call.
    let isBlocked: Bool
    private let stream: dnnl_stream_t
    private let primitive: dnnl_primitive_t
    private let arguments: UnsafeMutableBufferPointer<dnnl_exec_arg_t>

    init(_ shape: MatmulShape, engine: dnnl_engine_t, stream: dnnl_stream_t) throws(KernelError) {
        precondition(shape.m > 0 && shape.n > 0 && shape.k > 0, "empty matrix product \(shape)")
        self.stream = stream
        var a = matrix(shape.m, shape.k, stride: shape.aStride, transposed: shape.aTransposed, shape.input)
        var b = matrix(shape.k, shape.n, stride: shape.bStride, transposed: shape.bTransposed, shape.input)
        b.is_packed = shape.bPacked
        var c = matrix(shape.m, shape.n, stride: shape.cStride, transposed: false, shape.output)
        var bias = matrix(1, shape.n, stride: shape.n, transposed: false, .fp32)
        var product = onednn_product()
        let status =
            shape.bias
            ? onednn_product_create(engine, &a, &b, &bias, &c, shape.accumulates, &product)
            : onednn_product_create(engine, &a, &b, nil, &c, shape.accumulates, &product)
        try check(status, "plan a matrix product \(shape)")
        guard let primitive = product.primitive else { throw KernelError("oneDNN returned no primitive") }
        self.primitive = primitive
        scratchBytes = product.scratch_bytes
        isBlocked = product.is_blocked

        let made = product.memories
        var roles = [
            (DNNL_ARG_SRC, made.0), (DNNL_ARG_WEIGHTS_0, made.1), (DNNL_ARG_DST, made.2), (DNNL_ARG_SCRATCHPAD, made.3),
        ]
        if shape.bias { roles.append((DNNL_ARG_BIAS, made.4)) }
        arguments = .allocate(capacity: roles.count)
        for (index, (role, memory)) in roles.enumerated() {
            arguments.initializeElement(at: index, to: dnnl_exec_arg_t(arg: role, memory: memory))
        }
    }

    func destroy() {
        for argument in arguments { dnnl_memory_destroy(argument.memory) }
        dnnl_primitive_destroy(primitive)
        arguments.deallocate()
    }

    /// Computes the product; `bias` exactly when the shape has one.
    @inline(__always)
    func run(
        _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: UnsafeMutableRawPointer,
        bias: UnsafePointer<Float>? = nil, scratch: UnsafeMutableRawPointer
    ) {
        dnnl_memory_set_data_handle(arguments[0].memory, UnsafeMutableRawPointer(mutating: a))
        dnnl_memory_set_data_handle(arguments[1].memory, UnsafeMutableRawPointer(mutating: b))
        dnnl_memory_set_data_handle(arguments[2].memory, c)
        dnnl_memory_set_data_handle(arguments[3].memory, scratch)
        if arguments.count > 4 {
            dnnl_memory_set_data_handle(arguments[4].memory, UnsafeMutablePointer(mutating: bias))
        }
        let status = dnnl_primitive_execute(primitive, stream, Int32(arguments.count), arguments.baseAddress)
        if status != dnnl_success { preconditionFailure("oneDNN failed to execute: status \(status.rawValue)") }
    }
}

private func matrix(
    _ rows: Int, _ columns: Int, stride: Int, transposed: Bool, _ precision: Precision
) -> onednn_matrix {
    onednn_matrix(
        rows: Int64(rows), columns: Int64(columns), row_step: Int64(transposed ? 1 : stride),
        column_step: Int64(transposed ? stride : 1), is_bf16: precision == .bf16, is_packed: false)
}
