/// The counts of adjacent pairs while a vocabulary is learned, kept up to date merge by merge.
///
/// A round, the start or a merge, finds new places of some pairs. For each of these the round makes a list of the words
/// where it found it, and at its end queues the pair with that list. Merging a pair looks at the words of its list alone.
struct MergeCounter {
    /// A pair in the queue with the words where a round found it. Its count may be out of date: it is checked on removal.
    struct Pair: Comparable {
        var count: Int
        var left: Int32
        var right: Int32
        fileprivate var words: [Int32]

        /// The pair to merge first is the smallest.
        static func < (a: Pair, b: Pair) -> Bool {
            if a.count != b.count { return a.count > b.count }
            return a.left != b.left ? a.left < b.left : a.right < b.right
        }
    }

    // All words' symbols, one word after the other; a word shrinks in place.
    private var symbols: [Int32] = []
    private var starts: [Int] = []
    private var lengths: [Int32] = []
    private let wordCounts: [Int]

    // Pairs are numbered in the order of their appearance; by number: how often each stands in the text now, and its
    // place in `found`, or -1.
    private var numbers = PairTable(capacity: 1 << 12)
    private var pairCounts: [Int] = []
    private var places: [Int32] = []

    /// The pairs of which this round has found new places.
    private var found: [(pair: Pair, number: Int)] = []
    private var queue = BinaryHeap<Pair>()

    init(_ words: WordCounts, _ byteIDs: [Int32]) {
        wordCounts = words.counts
        symbols.reserveCapacity(words.words.bytes.count)
        for byte in words.words.bytes { symbols.append(byteIDs[Int(byte)]) }
        for word in 0..<words.words.count {
            let range = words.words.range(word)
            starts.append(range.lowerBound)
            lengths.append(Int32(range.count))
            for index in range.dropLast() {
                change(symbols[index], symbols[index + 1], by: wordCounts[word], word: word)
            }
        }
        enqueueFound()
    }

    /// Adds to a pair's count; an increase also puts the word on the pair's list of this round.
    @inline(__always)
    private mutating func change(_ left: Int32, _ right: Int32, by amount: Int, word: Int) {
        let next = Int64(pairCounts.count)
        let (value, isNew) = numbers.insert(next, forNew: PairTable.key(left, right))
        let number = Int(value)
        if isNew {
            pairCounts.append(amount)
            places.append(-1)
        } else {
            pairCounts[number] += amount
        }
        guard amount > 0 else { return }
        if places[number] < 0 {
            places[number] = Int32(found.count)
            found.append((Pair(count: 0, left: left, right: right, words: []), number))
        }
        let place = Int(places[number])
        if found[place].pair.words.last != Int32(word) { found[place].pair.words.append(Int32(word)) }
    }

    /// Ends a round: queues the pairs that it found, unless it has also removed them all.
    private mutating func enqueueFound() {
        for (var pair, number) in found {
            places[number] = -1
            pair.count = pairCounts[number]
            if pair.count > 0 { queue.push(pair) }
        }
        found.removeAll(keepingCapacity: true)
    }

    /// Removes the most frequent pair from the queue, or returns nil when none is left.
    ///
    /// A pair whose count has changed since it was queued goes back with its count of now. A pair that came up in two
    /// rounds stands in the queue twice, each time with its own words: that is the reference's way, and it shows in the
    /// merges of very repetitive texts, where one string is reached by two pairs.
    mutating func popMostFrequent() -> Pair? {
        while var pair = queue.pop() {
            let count = numbers.value(PairTable.key(pair.left, pair.right)).map { pairCounts[Int($0)] } ?? 0
            if count <= 0 { continue }
            if pair.count == count { return pair }
            pair.count = count
            queue.push(pair)
        }
        return nil
    }

    /// Replaces the pair by `id`, left to right without overlap, in the words where it was found.
    mutating func merge(_ pair: Pair, into id: Int32) {
        for word in pair.words { merge(pair, into: id, word: Int(word)) }
        enqueueFound()
    }

    private mutating func merge(_ pair: Pair, into id: Int32, word: Int) {
        let start = starts[word]
        let end = start + Int(lengths[word])
        let count = wordCounts[word]
        var read = start
        var write = start
        while read < end {
            guard symbols[read] == pair.left, read + 1 < end, symbols[read + 1] == pair.right else {
                symbols[write] = symbols[read]
                read += 1
                write += 1
                continue
            }
            if write > start {
                let before = symbols[write - 1]
                change(before, pair.left, by: -count, word: word)
                change(before, id, by: count, word: word)
            }
            if read + 2 < end {
                let after = symbols[read + 2]
                change(pair.right, after, by: -count, word: word)
                change(id, after, by: count, word: word)
            }
            symbols[write] = id
            write += 1
            read += 2
        }
        lengths[word] = Int32(write - start)
    }
}
