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
    private let product: onednn_product

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
        self.product = product
        scratchBytes = product.scratch_bytes
        isBlocked = product.is_blocked
    }

    /// Computes the product; `bias` exactly when the shape has one.
    /// - Returns: oneDNN's word on it.
    @inline(__always)
    func run(
        _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: UnsafeMutableRawPointer, bias: UnsafePointer<Float>?,
        scratch: UnsafeMutableRawPointer
    ) -> dnnl_status_t {
        onednn_product_execute(product, stream, a, b, c, scratch, bias)
    }

    deinit {
        let status = onednn_product_destroy(product)
        assert(status == dnnl_success, "oneDNN cannot destroy a product: status \(status.rawValue)")
    }
}

private func matrix(
    _ rows: Int, _ columns: Int, stride: Int, transposed: Bool, _ precision: Precision
) -> onednn_matrix {
    onednn_matrix(
        rows: Int64(rows), columns: Int64(columns), row_step: Int64(transposed ? 1 : stride),
        column_step: Int64(transposed ? stride : 1), is_bf16: precision == .bf16, is_packed: false)
}
