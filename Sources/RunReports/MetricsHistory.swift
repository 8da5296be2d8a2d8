import Basics
import Synchronization

/// `metrics.jsonl` of a run, thinned to what can be shown.
///
/// The file is cut into some two thousand parts of equal size, at ends of lines, which threads read and scan one by one;
/// of each part remain its lowest and highest values with their steps, and its mean. So memory does not grow with
/// the run, a spike of one step in a million stays, and a run of fewer lines than twice the parts keeps every point.
package struct MetricsHistory: Sendable {
    /// A number over the steps.
    package struct Series: Sendable {
        /// In the order of steps: of each part the lowest and the highest; the very first and the very last.
        package var points: [Point] = []
        /// The mean of each part, NaN where it has none.
        package var means: [Float] = []
        /// Steps at which it was not finite, at most one of each part.
        package var missing: [UInt32] = []
    }

    /// The last step of each part.
    package private(set) var steps: [UInt32] = []
    /// Lines of each part.
    package private(set) var counts: [UInt32] = []
    /// Tokens trained on at the last step of each part.
    package private(set) var tokens: [Double] = []
    /// Hours in steps up to there: evaluations, saves and the time between a stop and a start are not in it.
    package private(set) var hours: [Double] = []
    /// What is drawn; fields that no line has are left out.
    package private(set) var series: [MetricField: Series] = [:]
    /// How long steps took.
    package private(set) var stepTimes = TimeHistogram()
    /// Lines with a step.
    package private(set) var lineCount = 0
    /// Whole lines without one.
    package private(set) var strangeLines = 0

    /// Reads a file. What follows the last newline is a line in the making, and left out.
    /// - Parameter parts: how many points remain, at most two for each.
    /// - Throws: `FileSystemError` (66) when it cannot be read.
    package init(
        path: FilePath, parts: Int = 2000, threads: Int, fileSystem: any FileSystem = LocalFileSystem()
    ) throws {
        let file = try InputFile(path, fileSystem: fileSystem)
        let size = file.size
        let count = max(1, min(parts, size / 64))
        let found = Mutex(Found(buckets: Array(repeating: nil, count: count)))
        let next = Atomic<Int>(0)
        runOnThreads(max(1, min(threads, count))) {
            var worker = MetricsWorker(file: file)
            var buffer: [UInt8] = []
            while true {
                let index = next.add(1, ordering: .relaxed).oldValue
                guard index < count else { break }
                do throws(FileSystemError) {
                    let range = size * index / count..<size * (index + 1) / count
                    let bucket = try worker.read(range, buffer: &buffer)
                    found.withLock { $0.buckets[index] = bucket }
                } catch {
                    found.withLock { $0.error = $0.error ?? error }
                    break
                }
            }
            found.withLock { [worker] in
                $0.times.add(worker.times)
                $0.strangeLines += worker.strangeLines
            }
        }
        let result = found.withLock { $0 }
        if let error = result.error { throw error }
        stepTimes = result.times
        strangeLines = result.strangeLines
        append(result.buckets.compactMap { $0 }.filter { $0.lines > 0 })
    }

    /// What the threads have found.
    private struct Found: Sendable {
        var buckets: [Bucket?]
        var times = TimeHistogram()
        var strangeLines = 0
        var error: FileSystemError?
    }

    private mutating func append(_ buckets: [Bucket]) {
        var seconds = 0.0
        for bucket in buckets {
            seconds += bucket.seconds
            steps.append(bucket.lastStep)
            counts.append(UInt32(bucket.lines))
            tokens.append(bucket.tokens)
            hours.append(seconds / 3600)
            lineCount += bucket.lines
        }
        for (index, field) in MetricField.charted.enumerated() {
            let extents = buckets.map { $0.extents[index] }
            let whole = extents.filter { $0.count > 0 }
            let missing = extents.map(\.missing).filter { $0 > 0 }
            guard !whole.isEmpty || !missing.isEmpty else { continue }
            var result = Series()
            for (place, extent) in whole.enumerated() {
                var points = [extent.low, extent.high]
                if place == 0 { points.append(extent.first) }
                if place == whole.count - 1 { points.append(extent.last) }
                for point in points.sorted(by: { $0.step < $1.step }) where result.points.last != point {
                    result.points.append(point)
                }
            }
            result.means = extents.map { $0.count > 0 ? Float($0.sum / Double($0.count)) : .nan }
            result.missing = missing
            series[field] = result
        }
    }
}

/// One thread's: a scanner, and what it has found beside the buckets. The buffer is lent, so that the scanner can change
/// while it looks at it.
private struct MetricsWorker {
    private let file: InputFile
    private var scanner = LineScanner()
    private(set) var times = TimeHistogram()
    private(set) var strangeLines = 0

    /// Bytes behind a part that are read with it, for the line that begins in it and ends behind it.
    private static let overhang = 4096

    init(file: InputFile) { self.file = file }

    /// The lines that begin in this range of the file.
    mutating func read(_ range: Range<Int>, buffer: inout [UInt8]) throws(FileSystemError) -> Bucket {
        var bucket = Bucket()
        // The byte before says whether a line begins with the first.
        let offset = max(0, range.lowerBound - 1)
        var filled = 0
        try fill(&buffer, &filled, from: offset, upTo: range.upperBound + Self.overhang)
        var place = 0
        if range.lowerBound > 0 {
            guard let end = buffer[..<filled].firstIndex(of: 0x0A) else { return bucket }
            place = end + 1
        }
        while offset + place < range.upperBound {
            // A span for each run of lines of the known form; it must end before the buffer may change.
            place = scanLines(buffer, from: place, to: range.upperBound - offset, into: &bucket)
            guard offset + place < range.upperBound else { break }
            // Here begins a line of another form, or one that is not all here.
            var end = buffer[place..<filled].firstIndex(of: 0x0A)
            while end == nil, offset + filled < file.size {
                let before = filled
                try fill(&buffer, &filled, from: offset, upTo: offset + 2 * filled + Self.overhang)
                guard filled > before else { break }
                end = buffer[before..<filled].firstIndex(of: 0x0A)
            }
            guard let end else { break }
            if scanner.read(Array(buffer[place..<end])) {
                take(&bucket)
            } else {
                strangeLines += 1
            }
            place = end + 1
        }
        return bucket
    }

    /// Scans lines of the known form that begin before `end`.
    /// - Returns: where the next line begins.
    private mutating func scanLines(
        _ buffer: [UInt8], from start: Int, to end: Int, into bucket: inout Bucket
    ) -> Int {
        var place = start
        // A second owner, for the scanner is changed while it is read; gone before the buffer changes.
        let bytes = buffer
        while place < end, let next = scanner.scan(bytes.span, from: place) {
            take(&bucket)
            place = next
        }
        return place
    }

    private mutating func take(_ bucket: inout Bucket) {
        if let milliseconds = bucket.add(scanner) { times.add(milliseconds) } else { strangeLines += 1 }
    }

    /// Reads on behind what is in the buffer, up to a place in the file or its end, and puts a byte there that no line has.
    private func fill(
        _ buffer: inout [UInt8], _ filled: inout Int, from offset: Int, upTo end: Int
    ) throws(FileSystemError) {
        let wanted = min(end, file.size) - offset
        if buffer.count < wanted + 1 { buffer += [UInt8](repeating: 0, count: wanted + 1 - buffer.count) }
        let file = file
        var span = buffer.mutableSpan
        var bytes = span.mutableBytes
        filled += try file.readAvailable(into: &bytes, part: filled..<wanted, at: offset + filled)
        buffer[filled] = 0
    }
}
