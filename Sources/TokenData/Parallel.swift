import Basics
import Synchronization

/// Runs `body` for 0 ..< count on several threads and returns the results in order.
func parallelMap<Result: Sendable>(
    _ count: Int, threads: Int, _ body: @escaping @Sendable (Int) -> Result
) -> [Result] {
    if threads <= 1 || count <= 1 { return (0..<count).map(body) }
    let results = Mutex<[Result?]>(Array(repeating: nil, count: count))
    let next = Atomic<Int>(0)
    runOnThreads(min(threads, count)) {
        while true {
            let index = next.add(1, ordering: .relaxed).oldValue
            if index >= count { return }
            let result = body(index)
            results.withLock { $0[index] = result }
        }
    }
    return results.withLock { $0.compactMap { $0 } }
}

/// Objects that threads borrow and give back, so that each thread's tables stay warm.
final class Pool<Element: Sendable>: Sendable {
    private let free = Mutex<[Element]>([])
    private let make: @Sendable () -> Element

    init(_ make: @escaping @Sendable () -> Element) { self.make = make }

    /// Lends an object to `body`.
    func with<Result: Sendable>(_ body: (inout Element) -> Result) -> Result {
        var element = free.withLock { $0.popLast() } ?? make()
        let result = body(&element)
        free.withLock { [element] in $0.append(element) }
        return result
    }

    /// The objects that are not lent.
    var elements: [Element] { free.withLock { $0 } }
}
