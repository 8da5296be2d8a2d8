import Glibc
import Synchronization

/// Bytes that all buffers of this process hold now.
package let reservedMemory = Atomic<Int>(0)

/// Contiguous memory of one element type, zeroed, aligned to cache lines, owned for its whole life by this object.
///
/// The arenas (weights, gradients, moments) and every activation are buffers. Outside this module a buffer is read
/// and written through spans; inside, kernels use `base`.
package final class Buffer<Element: BitwiseCopyable>: @unchecked Sendable {
    /// Number of elements.
    package let count: Int
    let base: UnsafeMutablePointer<Element>
    /// Bytes that it takes from the system: whole pages. `Int.max` stands for more than that.
    package let byteCount: Int
    private let isReserved: Bool

    /// Reserves `count` zeroed elements. Pages are only taken from the system when they are first written. Without
    /// `reserving`, it stands for a buffer in a plan: nothing but a size.
    /// - Throws: `KernelError` (64) when the system has no room for them.
    package init(count: Int, reserving: Bool = true) throws(KernelError) {
        self.count = count
        byteCount = Self.byteCount(count)
        isReserved = reserving && count > 0
        base = isReserved ? try Self.map(byteCount).bindMemory(to: Element.self, capacity: count) : Self.nowhere
        if isReserved { reservedMemory.add(byteCount, ordering: .relaxed) }
    }

    /// An address that is aligned and holds nothing.
    private static var nowhere: UnsafeMutablePointer<Element> {
        UnsafeMutablePointer(bitPattern: 64) ?? .allocate(capacity: 0)
    }

    private static func byteCount(_ count: Int) -> Int {
        precondition(count >= 0, "a buffer cannot have \(count) elements")
        let bytes = saturatingSum(saturatingProduct(count, MemoryLayout<Element>.stride), pageSize - 1)
        return bytes == .max ? .max : bytes / pageSize * pageSize
    }

    private static func map(_ byteCount: Int) throws(KernelError) -> UnsafeMutableRawPointer {
        // From this size on a buffer starts on a border of 2 MiB, so that the system can use pages of that size: matmuls
        // and element-wise passes walk far apart rows, and small pages would cost them an address translation each.
        let hugePage = 2 << 20
        let isLarge = byteCount >= hugePage
        let reserved = isLarge ? saturatingSum(byteCount, hugePage) : byteCount
        let memory = mmap(nil, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else { throw .noMemory(bytes: byteCount) }
        guard isLarge else { return memory }
        // Cut off what lies before the border and behind the buffer.
        let before = (hugePage - Int(bitPattern: memory) % hugePage) % hugePage
        let start = memory + before
        if before > 0 { munmap(memory, before) }
        if reserved > before + byteCount { munmap(start + byteCount, reserved - before - byteCount) }
        madvise(start, byteCount, MADV_HUGEPAGE)
        return start
    }

    private static var pageSize: Int { Int(sysconf(Int32(_SC_PAGESIZE))) }

    deinit {
        guard isReserved else { return }
        munmap(base, byteCount)
        reservedMemory.subtract(byteCount, ordering: .relaxed)
    }

    /// The whole buffer as a slice.
    package var all: BufferSlice<Element> { BufferSlice(buffer: self, offset: 0, count: count) }

    /// The elements of a range.
    package subscript(range: Range<Int>) -> BufferSlice<Element> {
        requireInside(range)
        return BufferSlice(buffer: self, offset: range.lowerBound, count: range.count)
    }

    /// Lends the elements of a range to read.
    package func withSpan<R, E: Error>(_ range: Range<Int>, _ body: (Span<Element>) throws(E) -> R) throws(E) -> R {
        try body(UnsafeBufferPointer(elements(range)).span)
    }

    /// Lends the elements of a range to read and write.
    package func withMutableSpan<R, E: Error>(
        _ range: Range<Int>, _ body: (inout MutableSpan<Element>) throws(E) -> R
    ) throws(E) -> R {
        let elements = elements(range)
        var span = elements.mutableSpan
        return try body(&span)
    }

    /// Copies elements out, for tests, statistics and files.
    package func array(_ range: Range<Int>? = nil) -> [Element] { Array(elements(range ?? 0..<count)) }

    /// Copies `source` in, from `offset` on.
    package func set(_ source: [Element], at offset: Int = 0) {
        _ = elements(offset..<offset + source.count).update(from: source)
    }

    /// Sets every element of a range to zero bits.
    package func zero(_ range: Range<Int>? = nil) {
        let bytes = UnsafeMutableRawBufferPointer(elements(range ?? 0..<count))
        if let start = bytes.baseAddress { memset(start, 0, bytes.count) }
    }

    private func elements(_ range: Range<Int>) -> UnsafeMutableBufferPointer<Element> {
        requireInside(range)
        return UnsafeMutableBufferPointer(start: base + range.lowerBound, count: range.count)
    }

    private func requireInside(_ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range \(range) outside 0..<\(count)")
    }
}

/// A named part of a buffer, the operand of every kernel. Holding one keeps the buffer alive.
package struct BufferSlice<Element: BitwiseCopyable>: @unchecked Sendable {
    /// The memory that this is a part of.
    package let buffer: Buffer<Element>
    /// The first element's position in `buffer`.
    package let offset: Int
    /// Number of elements.
    package let count: Int

    /// The position in `buffer`.
    package var range: Range<Int> { offset..<offset + count }

    /// A part of this part.
    package subscript(range: Range<Int>) -> BufferSlice {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range \(range) outside 0..<\(count)")
        return BufferSlice(buffer: buffer, offset: offset + range.lowerBound, count: range.count)
    }

    /// Copies the elements out.
    package func array() -> [Element] { buffer.array(range) }

    @inline(__always) var pointer: UnsafeMutablePointer<Element> { buffer.base + offset }
}
