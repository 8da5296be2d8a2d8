// glibc's allocation functions, replaced for this program by ones that count their calls. The dynamic linker takes an
// executable's functions before a library's, so oneDNN, MPI and the Swift runtime call these too. C++'s `new` is counted
// apart: oneDNN makes a few small objects at each call of a primitive, which its interface leaves no way around.

@_silgen_name("__libc_malloc") private func libcMalloc(_ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_calloc") private func libcCalloc(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_realloc")
private func libcRealloc(_ old: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer?
@_silgen_name("__libc_memalign") private func libcMemalign(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer?

/// Calls of all threads, and the bytes of the largest. Two threads at once may count as one: nought stays nought.
struct Calls {
    var count = 0
    var largest = 0

    mutating func add(_ size: Int) {
        count &+= 1
        largest = max(largest, size)
    }
}

nonisolated(unsafe) var allocations = Calls()
nonisolated(unsafe) var objects = Calls()
nonisolated(unsafe) var isWatching = false

/// With a debugger, a breakpoint here shows who allocates in a step.
@inline(never)
private func onAllocation(_ size: Int) { allocations.add(size) }

// Linked as malloc; see Package.swift.
@_cdecl("counting_malloc")
public func countingMalloc(_ size: Int) -> UnsafeMutableRawPointer? {
    if isWatching { onAllocation(size) }
    return libcMalloc(size)
}

@_cdecl("calloc")
public func countingCalloc(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer? {
    if isWatching { onAllocation(count &* size) }
    return libcCalloc(count, size)
}

@_cdecl("realloc")
public func countingRealloc(_ old: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
    if isWatching { onAllocation(size) }
    return libcRealloc(old, size)
}

@_cdecl("memalign")
public func countingMemalign(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer? {
    if isWatching { onAllocation(size) }
    return libcMemalign(alignment, size)
}

@_cdecl("aligned_alloc")
public func countingAlignedAlloc(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer? {
    if isWatching { onAllocation(size) }
    return libcMemalign(alignment, size)
}

@_cdecl("posix_memalign")
public func countingPosixMemalign(
    _ result: UnsafeMutablePointer<UnsafeMutableRawPointer?>, _ alignment: Int, _ size: Int
) -> Int32 {
    if isWatching { onAllocation(size) }
    result.pointee = libcMemalign(alignment, size)
    return result.pointee == nil ? 12 : 0
}

@_cdecl("_Znwm")
public func countingNew(_ size: Int) -> UnsafeMutableRawPointer? {
    if isWatching { objects.add(size) }
    return libcMalloc(size)
}

@_cdecl("_Znam")
public func countingNewArray(_ size: Int) -> UnsafeMutableRawPointer? { countingNew(size) }
