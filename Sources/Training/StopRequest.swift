import Basics
import Glibc
import Synchronization

/// Requests to stop, at any moment of the process: SIGUSR1, SIGTERM and SIGINT.
///
/// As long as there is nothing to save, a request ends the process at once: SIGTERM and SIGINT by what they do by
/// themselves (143, 130), SIGUSR1 with the code of SIGTERM and a line. Once `beginRun` was called, the handler does
/// nothing but note the request.
package enum StopRequest {
    private static let requested = Atomic<Bool>(false)
    private static let isRunning = Atomic<Bool>(false)
    private static let speaks = Atomic<Bool>(false)
    private static let isHeld = Atomic<Bool>(false)
    private static let held = Atomic<Int32>(0)

    /// Whether a signal came since the run began.
    package static var isSet: Bool { requested.load(ordering: .relaxed) }

    /// Asks the run to save and stop at the end of its step.
    package static func set() { requested.store(true, ordering: .relaxed) }

    /// Takes a request back, before another run of the same process.
    package static func forget() { requested.store(false, ordering: .relaxed) }

    /// From now on there is something to save.
    package static func beginRun() { isRunning.store(true, ordering: .relaxed) }

    /// Installs the handlers: the first thing that a process does, or a signal is what it is by default.
    ///
    /// A second SIGINT ends the process at once, whatever it does.
    /// - Parameter isFirst: whether this is the rank that speaks.
    package static func listen(isFirst: @autoclosure () -> Bool) {
        for number in [SIGUSR1, SIGTERM, SIGINT] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { StopRequest.handle($0) }
            // Without SA_RESTART a read or write that is under way would fail for no reason of its own.
            action.sa_flags = SA_RESTART
            sigaction(number, &action, nil)
        }
        speaks.store(isFirst(), ordering: .relaxed)
    }

    /// Runs `body` with requests held back until it ends: a rank that dies while MPI starts can leave mpirun hanging.
    package static func holdingBack<Value>(_ body: () throws -> Value) rethrows -> Value {
        isHeld.store(true, ordering: .sequentiallyConsistent)
        defer {
            isHeld.store(false, ordering: .sequentiallyConsistent)
            let number = held.exchange(0, ordering: .sequentiallyConsistent)
            if number != 0 { handle(number) }
        }
        return try body()
    }

    /// Nothing but atomics and calls that a signal handler may make.
    private static func handle(_ number: Int32) {
        if isRunning.load(ordering: .relaxed) {
            set()
            if number == SIGINT { signal(number, SIG_DFL) }
        } else if isHeld.load(ordering: .sequentiallyConsistent) {
            held.store(number, ordering: .sequentiallyConsistent)
        } else if number == SIGUSR1 {
            let line: StaticString = "swiftlet: stopped on request; there was nothing to save yet\n"
            if speaks.load(ordering: .relaxed) { _ = write(STDERR_FILENO, line.utf8Start, line.utf8CodeUnitCount) }
            _exit(128 + SIGTERM)
        } else {
            signal(number, SIG_DFL)
            raise(number)
        }
    }
}
