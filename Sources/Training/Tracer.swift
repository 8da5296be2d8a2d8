import Collectives
import DataParallel
import Kernels
import Transformer

/// `--trace FILE`: records three steps after the first two, gathers all ranks' events and writes them as one file.
final class Tracer {
    private static let stepCount = 3
    private let path: String
    private let firstStep: Int
    private var origin: UInt64 = 0

    init(path: String, firstStep: Int) {
        self.path = path
        self.firstStep = firstStep
    }

    func begin(step: Int, _ model: any LanguageModel) {
        guard step == firstStep else { return }
        origin = Timeline.now()
        model.timeline = Timeline()
    }

    func end(step: Int, _ model: any LanguageModel, on communicator: any Communicator) throws {
        guard step == firstStep + Self.stepCount - 1, let timeline = model.timeline else { return }
        model.timeline = nil
        let own = TraceFile.lines(timeline.events, rank: communicator.rank, origin: origin)
        let all = try communicator.gather(Array(own.utf8), root: 0)
        try communicator.agreeing {
            if communicator.rank == 0 {
                try TraceFile.write(all.map { String(decoding: $0, as: UTF8.self) }, to: path)
            }
        }
    }
}
