import COneDNN

// M, N, K: c[M, N] = a[M, K] · b[K, N], row-major; a transposed operand is stored [K, M] (a) or [N, K] (b).

/// The shape, layout and types of one matrix product.
struct MatmulShape: Hashable {
    var m, n, k: Int
    var layout: Matmul.Layout
    /// Elements from one row of a to the next in memory: of a transposed a, M may be a part.
    var aStride: Int
    /// b lies in a `PackedOperand`.
    var bPacked = false
    var input, output: Precision
    /// Adds a row vector of N fp32 numbers to every row.
    var bias: Bool
    /// Adds to what c holds instead of overwriting it.
    var accumulates: Bool
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
        var a = matrix(shape.m, shape.k, shape.input, transposed: shape.layout == .aTransposed, stride: shape.aStride)
        var b = matrix(shape.k, shape.n, shape.input, transposed: shape.layout == .bTransposed)
        b.is_packed = shape.bPacked
        var c = matrix(shape.m, shape.n, shape.output)
        var product = onednn_product()
        let status = onednn_product_create(engine, &a, &b, shape.bias, &c, shape.accumulates, &product)
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
    _ rows: Int, _ columns: Int, _ precision: Precision, transposed: Bool = false, stride: Int? = nil
) -> onednn_matrix {
    let stride = Int64(stride ?? (transposed ? rows : columns))
    return onednn_matrix(
        rows: Int64(rows), columns: Int64(columns), row_step: transposed ? 1 : stride,
        column_step: transposed ? stride : 1, is_bf16: precision == .bf16, is_packed: false)
}
