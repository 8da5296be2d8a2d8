import Basics
import Foundation
import MPICollectives

/// How far long work is, as one line on the terminal. For the commands that print results; train has a display of its own.
enum ProgressLine {
    /// From now on, where something takes longer than a moment and there is a terminal.
    static func show() {
        // mpirun reads standard error through a pipe and writes it to its own.
        if MPICommunicator.isLaunchedByMPI(environment: ProcessInfo.processInfo.environment) {
            StandardStreams.draw(onTerminal: "/proc/\(getppid())/fd/2")
        }
        guard StandardStreams.canShowProgress else { return }
        WorkProgress.show { work in
            if let work { StandardStreams.showProgress(work.text) } else { StandardStreams.clearProgress() }
        }
    }
}
