/// Stand-in until the Kernels module has its own.
public final class Buffer<Element: BitwiseCopyable>: @unchecked Sendable {
    public let count: Int
    private let base: UnsafeMutableRawPointer

    public init(count: Int) {
        self.count = count
        let bytes = max(count * MemoryLayout<Element>.stride, 64)
        base = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        base.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    }

    deinit { base.deallocate() }

    public func withSpan<R, E: Error>(
        _ range: Range<Int>, _ body: (Span<Element>) throws(E) -> R
    ) throws(E) -> R {
        let typed = base.assumingMemoryBound(to: Element.self)
        return try body(UnsafeBufferPointer(start: typed + range.lowerBound, count: range.count).span)
    }

    public func withMutableSpan<R, E: Error>(
        _ range: Range<Int>, _ body: (inout MutableSpan<Element>) throws(E) -> R
    ) throws(E) -> R {
        let typed = base.assumingMemoryBound(to: Element.self)
        let buffer = UnsafeMutableBufferPointer(start: typed + range.lowerBound, count: range.count)
        var span = buffer.mutableSpan
        return try body(&span)
    }
}

/// Stand-in until the Kernels module has its own.
public enum Vector {
    public static func add(_ source: Buffer<Float>, into target: Buffer<Float>, range: Range<Int>) {
        source.withSpan(range) { source in
            target.withMutableSpan(range) { target in
                for i in 0..<source.count { target[unchecked: i] += source[unchecked: i] }
            }
        }
    }
}
