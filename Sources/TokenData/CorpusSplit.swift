/// A part of a document that is tokenized as a document of its own.
struct CorpusSegment: Sendable, Equatable {
    /// The document's number.
    let document: Int
    /// Its bytes.
    let range: Range<Int>
    /// Whether it belongs to the validation set.
    let isValidation: Bool
}

/// Divides a corpus into training and validation text; the same corpus and fraction always give the same parts.
///
/// From `spreadLimit` documents on, whole documents are drawn in the order of their contents' hash until the fraction
/// is filled: a spread over the corpus that does not depend on names, and in which equal documents stay together.
/// Fewer documents give the last fraction of the whole text, cut after a line.
enum CorpusSplit {
    static let spreadLimit = 20

    /// The segments of all documents, in order.
    static func segments(_ documents: [CorpusDocument], fraction: Double) throws(TokenDataError) -> [CorpusSegment] {
        let total = documents.reduce(0) { $0 + $1.byteCount }
        let wanted = Int(Double(total) * fraction)
        let drawn = documents.count >= spreadLimit ? draw(documents, wanted) : []
        if drawn.isEmpty, wanted > 0 { return try tail(documents, wanted, total) }
        return documents.indices.map {
            CorpusSegment(document: $0, range: 0..<documents[$0].byteCount, isValidation: drawn.contains($0))
        }
    }

    /// Takes documents, equal ones together, by their hash as long as they fit into `wanted` bytes.
    private static func draw(_ documents: [CorpusDocument], _ wanted: Int) -> Set<Int> {
        var groups: [UInt64: [Int]] = [:]
        for (index, document) in documents.enumerated() { groups[document.contentHash, default: []].append(index) }
        var drawn: Set<Int> = []
        var room = wanted
        for (_, members) in groups.sorted(by: { $0.key < $1.key }) {
            let size = members.reduce(0) { $0 + documents[$1].byteCount }
            guard size <= room else { continue }
            room -= size
            drawn.formUnion(members)
        }
        return drawn
    }

    private static func tail(
        _ documents: [CorpusDocument], _ wanted: Int, _ total: Int
    ) throws(TokenDataError) -> [CorpusSegment] {
        var segments: [CorpusSegment] = []
        var start = 0
        for (index, document) in documents.enumerated() {
            let boundary = total - wanted - start
            start += document.byteCount
            var cut = min(max(0, boundary), document.byteCount)
            if cut > 0, cut < document.byteCount { cut = try lineBoundary(document, near: cut) }
            if cut > 0 { segments.append(.init(document: index, range: 0..<cut, isValidation: false)) }
            if cut < document.byteCount {
                segments.append(.init(document: index, range: cut..<document.byteCount, isValidation: true))
            }
        }
        return segments
    }

    /// The place after the nearest line end before `place`, within reach; else after a blank; else between scalars.
    private static func lineBoundary(_ document: CorpusDocument, near place: Int) throws(TokenDataError) -> Int {
        let reach = min(place, 1 << 16)
        let before = try document.open().bytes(at: place - reach, count: reach)
        if let line = before.lastIndex(of: 0x0A) { return place - reach + line + 1 }
        if let blank = before.lastIndex(of: 0x20) { return place - reach + blank }
        var cut = place
        let next = try document.open().bytes(at: place, count: 4)
        for byte in next where byte & 0xC0 == 0x80 { cut += 1 }
        return min(cut, document.byteCount)
    }
}
