import Basics

/// A piece of a segment that can be split into pre-tokens on its own.
struct TextPiece: Sendable {
    let bytes: [UInt8]
    /// Whether a document starts with it.
    let startsDocument: Bool
    let isValidation: Bool
}

/// Reads segments piece by piece: the corpus never stands in memory as a whole.
struct CorpusReader {
    /// Pieces are about this long; only text without any blank makes a longer one.
    static let pieceLength = 1 << 20

    private let documents: [CorpusDocument]
    private let segments: [CorpusSegment]
    private let canCut: Bool
    private let splitter = PreTokenizer()
    private var segment = 0
    private var file: InputFile?
    private var position = 0
    private var rest: [UInt8] = []

    /// - Parameter canCut: false to give every segment as one piece.
    init(_ documents: [CorpusDocument], _ segments: [CorpusSegment], canCut: Bool = true) {
        self.documents = documents
        self.segments = segments
        self.canCut = canCut
    }

    /// The next pieces, about `byteCount` bytes together; empty at the end.
    mutating func nextPieces(byteCount: Int) throws -> [TextPiece] {
        var pieces: [TextPiece] = []
        var total = 0
        while total < byteCount, let piece = try nextPiece() {
            total += piece.bytes.count
            pieces.append(piece)
        }
        return pieces
    }

    private mutating func nextPiece() throws -> TextPiece? {
        guard segment < segments.count else { return nil }
        let current = segments[segment]
        if self.file == nil { position = current.range.lowerBound }
        let isFirst = position == current.range.lowerBound
        let file = try self.file ?? documents[current.document].open()
        self.file = file
        var piece = rest
        rest = []
        while true {
            let want = min(Self.pieceLength, current.range.upperBound - position)
            let bytes = try file.availableBytes(want, at: position)
            guard bytes.count == want else {
                throw ExitError(
                    .badInput, "'\(documents[current.document].path.shown)' changed while it was read; run again")
            }
            position += want
            piece += bytes
            if position == current.range.upperBound {
                segment += 1
                self.file = nil
                break
            }
            if canCut, let cut = splitter.lastSafeCut(in: piece.span, atMost: piece.count - 1) {
                rest = Array(piece[cut...])
                piece.removeLast(piece.count - cut)
                break
            }
        }
        return TextPiece(bytes: piece, startsDocument: isFirst, isValidation: current.isValidation)
    }
}
