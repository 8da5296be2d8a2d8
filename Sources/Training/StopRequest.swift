import Glibc
import Synchronization

/// Whether somebody asked the run to save and stop. A signal handler may do nothing but set this.
public enum StopRequest {
    private static let requested = Atomic<Bool>(false)

    /// Whether a signal came since the start.
    public static var isSet: Bool { requested.load(ordering: .relaxed) }

    /// Asks the run to save and stop at the end of its step.
    public static func set() { requested.store(true, ordering: .relaxed) }

    /// Forgets a request, for tests.
    public static func clear() { requested.store(false, ordering: .relaxed) }

    /// From now on SIGUSR1, SIGTERM and SIGINT ask the run to save and stop; a second SIGINT ends the process at once.
    /// A closed pipe or terminal and a file size limit become errors of the write that meets them.
    public static func listen() {
        for signal in [SIGUSR1, SIGTERM] { handle(signal) { _ in StopRequest.set() } }
        handle(SIGINT) { number in
            StopRequest.set()
            signal(number, SIG_DFL)
        }
        for ignored in [SIGPIPE, SIGHUP, SIGXFSZ] { signal(ignored, SIG_IGN) }
    }

    private static func handle(_ number: Int32, _ body: @escaping @convention(c) (Int32) -> Void) {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = body
        // Without SA_RESTART a read or write that is under way would fail for no reason of its own.
        action.sa_flags = SA_RESTART
        sigaction(number, &action, nil)
    }
}
