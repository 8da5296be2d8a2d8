internal import Basics
internal import Training

/// Training data of a program's own, in the place of token shards.
///
/// A run reads it by position: step s (from 0) consumes the positions s · G ..< (s + 1) · G, where G is the global batch,
/// at any number of ranks. Which tokens a position means is the source's own affair: order, repetition and mixing are
/// too. It must be a pure function of the position. Then a run goes on after a kill, on as many ranks as you like, with
/// the same bits.
public protocol TokenSource: Sendable {
    /// What checkpoints call the data. A resume wants the same name, so put everything into it that decides about
    /// tokens: the text, the seed, the order.
    var name: String { get }
    /// How many ids there are: every token is 0 ..< this.
    var vocabularySize: Int { get }
    /// Positions after which the data begins anew, for the log; nil where there is no such thing.
    var sequencesPerEpoch: Int? { get }
    /// The folder of the tokenizer that made the ids. Checkpoints carry it then, and a model can write text.
    var tokenizerPath: String? { get }
    /// Writes the tokens of a position. Any rank calls it, from the thread that trains, for the positions that are its own.
    /// - Parameters:
    ///   - tokens: as many as the model's context and one more. All but the last are what the model sees, all but the
    ///     first what it is to predict.
    ///   - position: from 0, counting on over all steps.
    /// - Throws: what ends the run.
    func fill(_ tokens: inout MutableSpan<Int32>, position: Int) throws
}

extension TokenSource {
    /// None: the log has epoch 1 throughout.
    public var sequencesPerEpoch: Int? { nil }
    /// None: ids are no text.
    public var tokenizerPath: String? { nil }
}

/// A source as the trainer knows it.
struct HookedSource: SequenceSource {
    let source: any TokenSource
    let tokenizerFolder: FilePath?

    init(_ source: any TokenSource) throws {
        self.source = source
        tokenizerFolder = try source.tokenizerPath.map { try FilePath(argument: $0) }
    }

    var name: String { source.name }
    var vocabularySize: Int { source.vocabularySize }
    var sequencesPerEpoch: Int? { source.sequencesPerEpoch }

    func fill(_ tokens: inout MutableSpan<Int32>, position: Int) throws {
        try source.fill(&tokens, position: position)
    }
}
