import COneDNN

// M, N, K: c[M, N] = a[M, K] · b[K, N], row-major; `Stride`: elements from one row to the next in memory;
// a transposed operand is stored [K, M] (a) or [N, K] (b).

/// The shape, strides and types of one matrix product.
struct TileShape: Hashable {
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
final class TileMatmul {
    let scratchBytes: Int
    /// Whether oneDNN computes it block by block in generated code, with all its memory in the scratch: the way that a
    /// packed operand is for. Others allocate memory at each call.
    let isBlocked: Bool
    private let stream: dnnl_stream_t
    private let primitive: dnnl_primitive_t
    private let memories: [dnnl_memory_t]
    private let arguments: UnsafeMutableBufferPointer<dnnl_exec_arg_t>
    private let hasBias: Bool

    init(_ shape: TileShape, engine: dnnl_engine_t, stream: dnnl_stream_t) throws(KernelError) {
        precondition(shape.m > 0 && shape.n > 0 && shape.k > 0, "empty matrix product \(shape)")
        self.stream = stream
        hasBias = shape.bias
        let aStrides = shape.aTransposed ? (1, shape.aStride) : (shape.aStride, 1)
        let bStrides = shape.bTransposed ? (1, shape.bStride) : (shape.bStride, 1)
        var a = try descriptor(shape.m, shape.k, aStrides, shape.input)
        var b =
            shape.bPacked
            ? try packedDescriptor(shape.k, shape.n, shape.input)
            : try descriptor(shape.k, shape.n, bStrides, shape.input)
        var c = try descriptor(shape.m, shape.n, (shape.cStride, 1), shape.output)
        var bias = try descriptor(1, shape.n, (shape.n, 1), .fp32)

        var operation = dnnl_matmul_desc_t()
        let described =
            shape.bias
            ? dnnl_matmul_desc_init(&operation, &a, &b, &bias, &c) : dnnl_matmul_desc_init(&operation, &a, &b, nil, &c)
        try check(described, "describe a matrix product \(shape)")

        var attributes: dnnl_primitive_attr_t?
        try check(dnnl_primitive_attr_create(&attributes), "create attributes")
        defer { dnnl_primitive_attr_destroy(attributes) }
        dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user)
        if shape.accumulates {
            var postOperations: dnnl_post_ops_t?
            dnnl_post_ops_create(&postOperations)
            dnnl_post_ops_append_sum(postOperations, 1)
            dnnl_primitive_attr_set_post_ops(attributes, postOperations)
            dnnl_post_ops_destroy(postOperations)
        }
        var description: dnnl_primitive_desc_t?
        try check(
            dnnl_primitive_desc_create(&description, &operation, attributes, engine, nil),
            "plan a matrix product \(shape)")
        defer { dnnl_primitive_desc_destroy(description) }
        var name: UnsafePointer<CChar>?
        dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, &name)
        isBlocked = name.map { String(cString: $0).hasPrefix("brg") } ?? false
        var primitive: dnnl_primitive_t?
        try check(dnnl_primitive_create(&primitive, description), "create a matrix product \(shape)")
        guard let primitive else { throw KernelError("oneDNN returned no primitive") }
        self.primitive = primitive

        guard let scratch = dnnl_primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0) else {
            throw KernelError("oneDNN names no scratch size")
        }
        scratchBytes = dnnl_memory_desc_get_size(scratch)
        var roles: [(Int32, dnnl_memory_desc_t)] = [
            (DNNL_ARG_SRC, a), (DNNL_ARG_WEIGHTS_0, b), (DNNL_ARG_DST, c), (DNNL_ARG_SCRATCHPAD, scratch.pointee),
        ]
        if shape.bias { roles.append((DNNL_ARG_BIAS, bias)) }
        arguments = .allocate(capacity: roles.count)
        var memories: [dnnl_memory_t] = []
        for (index, (role, description)) in roles.enumerated() {
            var memory: dnnl_memory_t?
            try withUnsafePointer(to: description) { pointer throws(KernelError) in
                try check(dnnl_memory_create(&memory, pointer, engine, nil), "create a memory object")
            }
            arguments.initializeElement(at: index, to: dnnl_exec_arg_t(arg: role, memory: memory))
            if let memory { memories.append(memory) }
        }
        self.memories = memories
    }

    func destroy() {
        for memory in memories { dnnl_memory_destroy(memory) }
        dnnl_primitive_destroy(primitive)
        arguments.deallocate()
    }

    @inline(__always)
    func run(
        _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: UnsafeMutableRawPointer,
        bias: UnsafePointer<Float>? = nil, scratch: UnsafeMutableRawPointer
    ) {
        dnnl_memory_set_data_handle(memories[0], UnsafeMutableRawPointer(mutating: a))
        dnnl_memory_set_data_handle(memories[1], UnsafeMutableRawPointer(mutating: b))
        dnnl_memory_set_data_handle(memories[2], c)
        dnnl_memory_set_data_handle(memories[3], scratch)
        if hasBias { dnnl_memory_set_data_handle(memories[4], UnsafeMutablePointer(mutating: bias)) }
        let status = dnnl_primitive_execute(primitive, stream, Int32(memories.count), arguments.baseAddress)
        if status != dnnl_success { preconditionFailure("oneDNN failed to execute: status \(status.rawValue)") }
    }
}

private func packedDescriptor(
    _ rows: Int, _ columns: Int, _ precision: Precision
) throws(KernelError) -> dnnl_memory_desc_t {
    var result = dnnl_memory_desc_t()
    var dimensions: [dnnl_dim_t] = [dnnl_dim_t(rows), dnnl_dim_t(columns)]
    let type = precision == .bf16 ? dnnl_bf16 : dnnl_f32
    try check(
        dnnl_memory_desc_init_by_tag(&result, 2, &dimensions, type, PackedOperand.tag(precision)),
        "describe a packed matrix of \(rows) × \(columns)")
    return result
}

private func descriptor(
    _ rows: Int, _ columns: Int, _ strides: (Int, Int), _ precision: Precision
) throws(KernelError) -> dnnl_memory_desc_t {
    var result = dnnl_memory_desc_t()
    var dimensions: [dnnl_dim_t] = [dnnl_dim_t(rows), dnnl_dim_t(columns)]
    var steps: [dnnl_dim_t] = [dnnl_dim_t(strides.0), dnnl_dim_t(strides.1)]
    let type = precision == .bf16 ? dnnl_bf16 : dnnl_f32
    try check(
        dnnl_memory_desc_init_by_strides(&result, 2, &dimensions, type, &steps),
        "describe a matrix of \(rows) × \(columns)")
    return result
}
