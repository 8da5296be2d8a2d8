import Basics
import Collectives
import Kernels

/// `--trace FILE`: records three steps after the first two, gathers all ranks' events and writes them as one file.
final class Tracer {
    private static let stepCount = 3
    /// What is recorded.
    let timeline = Timeline()
    private let path: String
    private let firstStep: Int
    private var origin: UInt64 = 0

    init(path: String, firstStep: Int) {
        self.path = path
        self.firstStep = firstStep
    }

    /// Whether the recording begins with this step; the clock then starts.
    func begins(at step: Int) -> Bool {
        guard step == firstStep else { return false }
        origin = Timeline.now()
        return true
    }

    /// Whether this step was the recording's last.
    func ends(at step: Int) -> Bool { step == firstStep + Self.stepCount - 1 }

    /// Writes the events of all ranks. All ranks call it together.
    func write(on communicator: any Communicator) throws {
        let own = TraceFile.lines(timeline.events, rank: communicator.rank, origin: origin)
        let all = try communicator.gather(Array(own.utf8), root: 0)
        try communicator.agreeing {
            if communicator.rank == 0 {
                try TraceFile.write(all.map { String(decoding: $0, as: UTF8.self) }, to: FilePath(argument: path))
            }
        }
    }
}
