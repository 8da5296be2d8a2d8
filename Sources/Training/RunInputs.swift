import Basics
import Checkpointing
import Collectives
import Optimization
import TokenData
import Transformer

/// What a run is made from: the checkpoint to go on from, the model's shape, data, batches and schedule.
///
/// All ranks find and check it together, in the order in which mistakes are cheapest to find, before anything large is
/// reserved and without changing anything on the disk. `TrainingSetup` trains with it, `RunPlan` reckons with it.
struct RunInputs {
    /// What a plan asks for otherwise than a run.
    struct Planning {
        /// How many ranks the run is to have; the ranks that plan it may be others.
        let ranks: Int
        /// Makes the cut of a step, where a run would refuse one that does not fit.
        let batch: (TrainingConfiguration) throws -> BatchPlan
    }

    /// With what a checkpoint, a model or a recipe says of options that were not given.
    let configuration: TrainingConfiguration
    let resume: ResumePoint
    let source: ModelSource
    let loader: BatchLoader
    let evaluator: Evaluator?
    /// At the step that comes next.
    let scheduler: LearningRateScheduler
    let dataIdentity: [String]

    /// - Parameters:
    ///   - planning: of a plan, which may lack training data (its tokens are random then), and reads of data what the
    ///     headers say.
    ///   - hooks: what is not the run's own.
    /// - Throws: `AgreedError` on all ranks when any of them fails.
    init(
        _ wanted: TrainingConfiguration, resume: ResumePoint, planning: Planning? = nil,
        hooks: TrainingHooks = TrainingHooks(), communicator: any Communicator, reporter: any Reporter
    ) throws {
        var configuration = wanted
        self.resume = resume
        try communicator.agreeing { try resume.complete(&configuration, reporter) }
        // A resume goes on with what its run began with.
        let recipe = resume.state == nil ? configuration.recipe : nil
        var fromRecipe = recipe.map { configuration.followShape(of: $0) } ?? []

        // Shape and data.
        let (training, validation) = try communicator.agreeing {
            // Missing data is the first thing to say, before what would have been found beside it.
            (
                try hooks.source != nil || planning != nil && configuration.trainData.isEmpty
                    ? nil : TokenStream(glob: configuration.trainData),
                try configuration.validationData.map { try TokenStream(glob: $0) }
            )
        }
        // A plan needs the contents only where a checkpoint says which ones it was trained on.
        let readsContents = planning == nil || training != nil && resume.state != nil
        dataIdentity =
            try readsContents
            ? [
                hooks.source?.identity(on: communicator)
                    ?? Self.identity("training data", training, on: communicator)
            ] : []
        let validationIdentity = try readsContents ? Self.identity("val-data", validation, on: communicator) : ""
        let source = try communicator.agreeing {
            try ModelSource(
                configuration, saved: resume.model, checkpoint: resume.checkpoint,
                data: training?.shards[0].path.parent ?? hooks.source?.tokenizerFolder,
                vocabularySize: hooks.source?.vocabularySize)
        }
        let shape = source.shape
        configuration.adopt(shape)
        let context = shape.contextLength
        if let recipe {
            fromRecipe += configuration.follow(recipe)
            reporter.line(recipe.remark(fromRecipe))
        } else if let recipe = configuration.recipe {
            reporter.line("recipe \(recipe.rawValue) sets nothing at a resume: the checkpoint has the values")
        }
        let (loader, evaluator) = try communicator.agreeing {
            try configuration.validateTogether()
            let plan =
                try planning?.batch(configuration)
                ?? BatchPlan(
                    globalBatch: configuration.globalBatch, microBatch: configuration.microBatch,
                    worldSize: communicator.worldSize)
            func checked(_ stream: TokenStream) throws -> TokenStream {
                try stream.checked(for: shape, reads: planning == nil && communicator.localRank == 0)
            }
            func sequences() throws -> BatchLoader.Sequences {
                if let source = hooks.source {
                    try source.requireFit(shape)
                    return .own(SourceReader(source, contextLength: context))
                }
                let stream =
                    try training.map(checked)
                    ?? TokenStream.random(count: max(1 << 16, context + 1), vocabularySize: shape.vocabularySize)
                let order = try SampleOrder(
                    seed: configuration.seed, sequenceCount: stream.requireSequences(contextLength: context),
                    shuffle: configuration.shuffle)
                return .shards(stream, order)
            }
            let order = try sequences()
            let evaluator = try validation.map {
                try Evaluator(
                    stream: checked($0), identity: validationIdentity, contextLength: context,
                    sequences: configuration.evalSequences)
            }
            return (BatchLoader(sequences: order, plan: plan, contextLength: context), evaluator)
        }
        // The checkpoint's values too: a rank that was given one and a rank that was not must end with the same.
        try communicator.agree(on: [("model", "\(shape)")] + configuration.comparedOverRanks)
        let identity = dataIdentity
        let remarks = try communicator.agreeing {
            try resume.requireFit(source, dataIdentity: readsContents ? identity : nil)
            return communicator.rank == 0
                ? try source.requireOneTokenizer(
                    training: training, validation: validation, allowOther: configuration.allowOtherTokenizer) : []
        }
        for remark in remarks { reporter.line(remark) }
        scheduler = try resume.scheduler(
            configuration, own: hooks.schedule, communicator: communicator, reporter: reporter)
        (self.configuration, self.source, self.loader, self.evaluator) = (configuration, source, loader, evaluator)
    }

    /// A name for the contents of a stream, the same on all ranks or an error of all. One rank a host reads them; the
    /// others compare what the headers say.
    private static func identity(
        _ what: String, _ stream: TokenStream?, on communicator: any Communicator
    ) throws -> String {
        let reads = communicator.localRank == 0
        let own = try communicator.agreeing { try stream.map { reads ? try $0.identity() : "" } ?? "none" }
        let first = String(decoding: try communicator.fromRankZero { Array(own.utf8) }, as: UTF8.self)
        let size = stream.map { ", \($0.tokenCount) tokens in \($0.shards.count) shards" } ?? ""
        try communicator.agree(on: [(what, (reads || stream == nil ? own : first) + size)])
        return first
    }
}

extension TokenStream {
    /// The same with ids checked against a model's vocabulary: all of them where this rank `reads` them (one a host
    /// does), each again when it is read.
    fileprivate func checked(for shape: DecoderConfiguration, reads: Bool) throws -> TokenStream {
        if reads { try validateTokenIDs(vocabularySize: shape.vocabularySize) }
        var stream = self
        stream.vocabularySize = shape.vocabularySize
        return stream
    }
}
