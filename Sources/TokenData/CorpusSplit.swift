import Basics

/// A part of a document that is tokenized as a document of its own.
struct CorpusSegment: Sendable, Equatable {
    /// The document's number.
    let document: Int
    /// Its bytes.
    let range: Range<Int>
    /// Whether it belongs to the validation set.
    let isValidation: Bool
}

/// Divides a corpus into training and validation text; the same texts and fraction always give the same parts.
///
/// A large document gives the last part of itself. Smaller ones are drawn as wholes, in the order of their contents'
/// hash (a spread over the corpus that does not depend on names or sizes), until their share is met; the last one
/// drawn gives only its end where all of it would be too much. Equal documents are treated alike, so that no text
/// stands on both sides.
struct CorpusSplit {
    /// The segments of all documents, in order.
    private(set) var segments: [CorpusSegment] = []
    private let documents: [CorpusDocument]
    /// How many bytes at the end of each document are validation text.
    private var validation: [Int]

    /// A document is large when drawing such ones as wholes would be no sample: fewer than this many in the share.
    private static let leastDrawn = 16.0
    /// Its own part is at least this long: some hundred tokens.
    private static let leastPart = 2048.0
    /// How far the drawn documents may miss their share, or what is left for training, before one of them is cut.
    private static let tolerance = 0.05

    /// - Throws: where a document cannot be read.
    init(_ documents: [CorpusDocument], fraction: Double) throws {
        self.documents = documents
        validation = [Int](repeating: 0, count: documents.count)
        let total = Double(documents.reduce(0) { $0 + $1.byteCount })
        if total * fraction >= 1 {
            let limit = max(total * fraction / Self.leastDrawn, Self.leastPart / fraction)
            let groups = Dictionary(grouping: documents.indices) { documents[$0].contentHash }
                .sorted { $0.key < $1.key }.map(\.value)
            try divide(groups.filter { Double(documents[$0[0]].byteCount) >= limit }, fraction)
            try draw(groups.filter { Double(documents[$0[0]].byteCount) < limit }, fraction)
        }
        for (index, document) in documents.enumerated() {
            let cut = document.byteCount - validation[index]
            if cut > 0 { segments.append(.init(document: index, range: 0..<cut, isValidation: false)) }
            if cut < document.byteCount {
                segments.append(.init(document: index, range: cut..<document.byteCount, isValidation: true))
            }
        }
    }

    /// Kinds of files of which all text is validation text, so that nothing like them is learned.
    var kindsWithoutTraining: [String] {
        let trained = Set(segments.filter { !$0.isValidation }.flatMap { documents[$0.document].kinds })
        return Set(documents.flatMap(\.kinds)).subtracting(trained).sorted()
    }

    /// Gives the end of each document; what one gives too much or too little, the next makes up for.
    private mutating func divide(_ groups: [[Int]], _ fraction: Double) throws {
        var due = 0.0
        for members in groups {
            due += fraction * Double(size(members))
            due -= Double(try cut(members, part: due / Double(members.count)))
        }
    }

    private mutating func draw(_ groups: [[Int]], _ fraction: Double) throws {
        let total = Double(groups.reduce(0) { $0 + size($1) })
        let tolerance = Self.tolerance * min(fraction, 1 - fraction) * total
        var missing = fraction * total
        for members in groups {
            if missing <= tolerance { return }
            if Double(size(members)) <= missing + tolerance {
                for index in members { validation[index] = documents[index].byteCount }
                missing -= Double(size(members))
            } else {
                _ = try cut(members, part: missing / Double(members.count))
                return
            }
        }
    }

    private func size(_ members: [Int]) -> Int { members.count * documents[members[0]].byteCount }

    /// Makes about `part` bytes at the end of each of equal documents validation text; returns how many in all.
    private mutating func cut(_ members: [Int], part: Double) throws -> Int {
        let document = documents[members[0]]
        let part = min(Int(part), document.byteCount - 1)
        guard part > 0 else { return 0 }
        let place = document.byteCount - part
        let length = document.byteCount - (try Self.border(in: document, near: place, reach: min(part, place) / 16 + 4))
        for index in members { validation[index] = length }
        return length * members.count
    }

    /// The best place to cut within reach: behind an end-of-text mark, else between paragraphs, behind a line, before a
    /// blank; else between characters.
    private static func border(in document: CorpusDocument, near place: Int, reach: Int) throws -> Int {
        let reach = min(reach, 1 << 16)
        let start = max(0, place - reach)
        let window = try document.open().availableBytes(min(document.byteCount, place + reach) - start, at: start)
        let middle = place - start
        for mark in [Tokenizer.endOfText, "\n\n", "\n", " "].map({ Array($0.utf8) }) {
            let ends = window.indices.filter { window[$0] == mark[0] && window[$0...].starts(with: mark) }
                .map { start + (mark == [0x20] ? $0 : $0 + mark.count) }
            let inside = ends.filter { $0 > 0 && $0 < document.byteCount }
            if let best = inside.min(by: { abs($0 - place) < abs($1 - place) }) { return best }
        }
        var cut = min(middle, window.count)
        while cut < window.count, cut < middle + 3, window[cut] & 0xC0 == 0x80 { cut += 1 }
        return start + cut
    }
}
