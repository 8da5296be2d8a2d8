import Basics
import Collectives
import Kernels

/// `--trace FILE`: records three steps, gathers all ranks' events and writes them as one file.
///
/// The third to fifth step of a run, since the first ones fill caches; earlier ones where it has no more.
final class Tracer {
    private static let stepCount = 3
    /// What is recorded.
    let timeline = Timeline()
    private let path: FilePath
    private let firstStep: Int
    private var origin: UInt64?
    private var isWritten = false

    /// - Parameter step: the newest step before the run, `steps` its last one.
    init(path: FilePath, step: Int, steps: Int) {
        self.path = path
        firstStep = max(step + 1, min(step + 3, steps - Self.stepCount + 1))
    }

    /// Whether the recording begins with this step; the clock then starts.
    func begins(at step: Int) -> Bool {
        guard step == firstStep else { return false }
        origin = Timeline.now()
        return true
    }

    /// Whether this step was the recording's last.
    func ends(at step: Int) -> Bool { step == firstStep + Self.stepCount - 1 }

    /// Writes the events of all ranks, once. All ranks call it together.
    /// - Returns: false where there is nothing to write.
    func write(on communicator: any Communicator) throws -> Bool {
        guard let origin, !isWritten else { return isWritten }
        isWritten = true
        let own = TraceFile.lines(timeline.events, rank: communicator.rank, origin: origin)
        let all = try communicator.gather(Array(own.utf8), root: 0)
        try communicator.agreeing {
            if communicator.rank == 0 {
                try TraceFile.write(all.map { String(decoding: $0, as: UTF8.self) }, to: path)
            }
        }
        return true
    }
}
