/// Builds one word's tokens: again and again the adjacent pair of the lowest rank, the leftmost first.
struct WordMerger: Sendable {
    /// Up to this length a scan for the lowest rank beats a heap; beyond it a scan would be quadratic.
    private static let scanLimit = 48

    private var symbols: [Int32] = []
    private var ranks: [Int64] = []

    /// Appends the tokens of `text[range]` to `ids`.
    mutating func merge(_ text: Span<UInt8>, _ range: Range<Int>, _ tokenizer: Tokenizer, into ids: inout [Int32]) {
        symbols.removeAll(keepingCapacity: true)
        for index in range { symbols.append(tokenizer.byteIDs[Int(text[index])]) }
        if symbols.count <= Self.scanLimit {
            scan(tokenizer.mergeTable)
        } else {
            mergeLong(tokenizer.mergeTable)
        }
        ids.append(contentsOf: symbols)
    }

    private mutating func scan(_ table: PairTable) {
        // ranks[i] is rank << 32 | merged id of symbols i and i + 1; ranks are distinct, so the minimum decides.
        ranks.removeAll(keepingCapacity: true)
        for index in 0..<max(0, symbols.count - 1) { ranks.append(rank(index, table)) }
        while !ranks.isEmpty {
            var best = 0
            for index in 1..<max(1, ranks.count) where ranks[index] < ranks[best] { best = index }
            guard ranks[best] != .max else { return }
            symbols[best] = Int32(truncatingIfNeeded: ranks[best])
            symbols.remove(at: best + 1)
            ranks.remove(at: best)
            if best > 0 { ranks[best - 1] = rank(best - 1, table) }
            if best < ranks.count { ranks[best] = rank(best, table) }
        }
    }

    @inline(__always)
    private func rank(_ index: Int, _ table: PairTable) -> Int64 {
        table.value(PairTable.key(symbols[index], symbols[index + 1])) ?? .max
    }

    /// One candidate merge of a long word; stale when its two symbols have changed since.
    private struct Candidate: Comparable {
        var rank: Int64
        var position: Int32
        var left: Int32
        var right: Int32

        static func < (a: Candidate, b: Candidate) -> Bool {
            a.rank != b.rank ? a.rank < b.rank : a.position < b.position
        }
    }

    /// A linked list of symbols and a heap of candidates: n log n, for words such as a megabyte of one letter.
    private mutating func mergeLong(_ table: PairTable) {
        let count = symbols.count
        var next = (0..<count).map { Int32($0 + 1) }
        var previous = (0..<count).map { Int32($0 - 1) }
        var heap = BinaryHeap<Candidate>()

        func offer(_ left: Int, _ symbols: [Int32]) {
            let right = Int(next[left])
            guard right < count,
                let rank = table.value(PairTable.key(symbols[left], symbols[right]))
            else { return }
            heap.push(Candidate(rank: rank, position: Int32(left), left: symbols[left], right: symbols[right]))
        }
        for index in 0..<count - 1 { offer(index, symbols) }
        while let candidate = heap.pop() {
            let left = Int(candidate.position)
            let right = Int(next[left])
            guard symbols[left] == candidate.left, right < count, symbols[right] == candidate.right else { continue }
            symbols[left] = Int32(truncatingIfNeeded: candidate.rank)
            symbols[right] = -1
            next[left] = next[right]
            if Int(next[left]) < count { previous[Int(next[left])] = Int32(left) }
            if previous[left] >= 0 { offer(Int(previous[left]), symbols) }
            offer(left, symbols)
        }
        symbols.removeAll { $0 < 0 }
    }
}

/// A binary heap; `pop` gives the smallest element.
struct BinaryHeap<Element: Comparable> {
    private var elements: [Element] = []

    /// Adds an element.
    mutating func push(_ element: Element) {
        var index = elements.count
        elements.append(element)
        while index > 0 {
            let parent = (index - 1) / 2
            guard element < elements[parent] else { break }
            elements[index] = elements[parent]
            index = parent
        }
        elements[index] = element
    }

    /// Removes and returns the smallest element, or nil.
    mutating func pop() -> Element? {
        guard let last = elements.popLast() else { return nil }
        guard let first = elements.first else { return last }
        var index = 0
        while true {
            var child = 2 * index + 1
            guard child < elements.count else { break }
            if child + 1 < elements.count, elements[child + 1] < elements[child] { child += 1 }
            guard elements[child] < last else { break }
            elements[index] = elements[child]
            index = child
        }
        elements[index] = last
        return first
    }
}
