import Basics
import Synchronization

/// What a run's memory is for, in the order in which it is listed.
package enum MemoryUse: String, CaseIterable, Sendable {
    case weights, gradients, moments
    case weightCopy = "bf16 copy"
    case activations, logits
    case operands = "packed operands"
    case scratch = "scratch of threads"
    case partialSums = "partial sums"
    case reduction, losses
}

/// Where the buffers of a run come from, counted by their use.
///
/// The code that makes a run's parts runs twice: with a memory that counts alone, so that a run which cannot fit is
/// refused before it takes anything, and then with one that reserves. So both have the same numbers.
package final class Memory {
    /// Whether buffers have memory. Those of a plan have a size alone and must not be touched.
    package let reserves: Bool
    /// Bytes past which a plan need not go on.
    private let limit: Int
    /// Bytes by use, with whole pages for each buffer; `Int.max` stands for more than that.
    package private(set) var bytes: [MemoryUse: Int] = [:]

    /// One that reserves; with a limit, one that counts for a plan where no more than so many bytes can be had.
    package init(planningWithin limit: Int? = nil) { (reserves, self.limit) = (limit == nil, limit ?? .max) }

    /// Bytes of all buffers; `Int.max` stands for more than that.
    package var total: Int { bytes.values.reduce(0, saturatingSum) }

    /// A buffer of zeros with as many elements as the product of the factors.
    /// - Throws: `KernelError` when the memory cannot be reserved.
    package func buffer<Element: BitwiseCopyable>(
        _ use: MemoryUse, _ factors: Int...
    ) throws(KernelError) -> Buffer<Element> {
        let count = factors.reduce(1, saturatingProduct)
        let buffer = try Buffer<Element>(count: count, reserving: reserves)
        bytes[use] = saturatingSum(bytes[use] ?? 0, buffer.byteCount)
        return buffer
    }

    /// Ends a plan that does not fit any more, before oneDNN gets to see its sizes.
    /// - Throws: `KernelError` (64).
    package func requireRoom() throws(KernelError) {
        if !reserves, total > limit { throw .noMemory(bytes: total) }
    }

    /// Makes a buffer larger if it has fewer elements than this; what it held is lost.
    package func grow<Element: BitwiseCopyable>(
        _ buffer: inout Buffer<Element>, to count: Int, _ use: MemoryUse
    ) throws(KernelError) {
        guard count > buffer.count else { return }
        bytes[use] = (bytes[use] ?? 0) - buffer.byteCount
        buffer = try self.buffer(use, count)
    }
}

/// a · b of two sizes, `Int.max` where it is more.
package func saturatingProduct(_ a: Int, _ b: Int) -> Int {
    let (product, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? .max : product
}

/// a + b of two sizes, `Int.max` where it is more.
package func saturatingSum(_ a: Int, _ b: Int) -> Int {
    let (sum, overflow) = a.addingReportingOverflow(b)
    return overflow ? .max : sum
}
