import Glibc
import Synchronization

/// Standard output and standard error: the one place that writes to them.
///
/// A line is one `write`, so it is whole or absent, whoever else writes there. What cannot be said on standard error is
/// nobody's failure; what cannot be written to standard output is the caller's to judge.
package enum StandardStreams {
    /// Something that did not reach standard output.
    private static func failure(_ code: Int32) -> ExitError {
        let reason = code == EBADF ? "it is closed" : systemErrorText(code)
        return ExitError(
            .writeFailed,
            "standard output cannot be written: \(reason); what was to be printed is lost, give it a file with room "
                + "or a reader that stays")
    }

    /// Columns of the progress line that is shown now; 0 when there is none.
    private static let shownColumns = Atomic<Int>(0)
    /// Lines of the block that is shown now; 0 when there is none.
    private static let shownRows = Atomic<Int>(0)
    /// Where these are drawn: on standard error, or on the terminal that it leads to.
    private static let screen = Atomic<Int32>(STDERR_FILENO)
    private static var screenDescriptor: Int32 { screen.load(ordering: .relaxed) }

    /// To be called before any file is opened: a missing stream's place is taken by one that refuses to be written, or
    /// else the next file gets its number, and what is said later lands in it. A reader that has gone and a limit on
    /// the size of files become errors of the write that meets them.
    package static func prepare() {
        for descriptor in 0...2 where fcntl(Int32(descriptor), F_GETFD) < 0 { _ = open("/dev/null", O_RDONLY) }
        for ignored in [SIGPIPE, SIGXFSZ] { signal(ignored, SIG_IGN) }
    }

    /// Writes a result and a newline to standard output, as far as a disk behind it.
    package static func print(_ text: String) throws(ExitError) {
        try write(Array((text + "\n").utf8))
        // Some file systems say only now that they have no room.
        if fsync(STDOUT_FILENO) != 0, [ENOSPC, EDQUOT, EIO].contains(errno) { throw failure(errno) }
    }

    /// Writes bytes to standard output.
    package static func write(_ bytes: [UInt8]) throws(ExitError) {
        clearProgress()
        let code = put(bytes, STDOUT_FILENO)
        if code != 0 { throw failure(code) }
    }

    /// Writes a line to standard error, where it can be written.
    package static func say(_ line: String) {
        if isScreenApart { clearProgress() }
        _ = put(Array((erasure() + line + "\n").utf8), STDERR_FILENO)
    }

    /// The same for those who must not be held up by a reader that is stuck.
    package static func sayWithoutWaiting(_ line: String) {
        if isReady(STDERR_FILENO, milliseconds: 1000) { say(line) }
    }

    // A line on standard error that is drawn again and again, or several. The line is cut to the terminal's width and
    // taken away by blanks, so that no terminal needs to know an escape code. The block is for those that do.

    /// Draws on another terminal than standard error from now on, such as that of a launcher which passes standard error on
    /// to it. Nothing changes where standard error is a terminal, or `path` is none.
    package static func draw(onTerminal path: String) {
        guard isatty(STDERR_FILENO) != 1 else { return }
        let descriptor = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        guard isatty(descriptor) == 1 else {
            close(descriptor)
            return
        }
        // A terminal may stop who writes to it from the background, which the ranks of a launcher are.
        signal(SIGTTOU, SIG_IGN)
        screen.store(descriptor, ordering: .relaxed)
    }

    /// Whether lines take another way to the terminal than what is drawn, so that they may come later.
    package static var isScreenApart: Bool { screenDescriptor != STDERR_FILENO }

    /// Whether there is a terminal that can draw over a line.
    package static var canShowProgress: Bool {
        canDraw(on: screenDescriptor)
    }

    /// Whether this is a terminal, and none that calls itself dumb.
    static func canDraw(on descriptor: Int32) -> Bool {
        isatty(descriptor) == 1 && getenv("TERM").map { strcmp($0, "dumb") != 0 } ?? true
    }

    /// Whether that terminal says that it knows escape codes.
    package static var canShowBlock: Bool { canShowProgress && getenv("TERM") != nil }

    /// Whether colours are welcome: NO_COLOR is not set, or empty (no-color.org).
    package static var mayColour: Bool { getenv("NO_COLOR").map { $0[0] == 0 } ?? true }

    /// Draws `text` over the progress line that is there.
    package static func showProgress(_ text: String) {
        let shown = text.prefix(max(1, terminalWidth() - 1))
        let columns = shown.count
        let above = blockErasure()
        let blanks = max(0, shownColumns.exchange(columns, ordering: .relaxed) - columns)
        _ = put(Array("\(above)\r\(shown)\(String(repeating: " ", count: blanks))".utf8), screenDescriptor)
    }

    /// Takes the progress line away.
    package static func clearProgress() { _ = put(Array(erasure().utf8), screenDescriptor) }

    /// Draws lines over those that are there, the cursor below them. None of them may be wider than the terminal.
    package static func showBlock(_ lines: [String]) {
        let rows = shownRows.exchange(lines.count, ordering: .relaxed)
        let start = rows > 0 ? "\r\u{1B}[\(rows)A" : lineErasure()
        // The rest of each line is cleared, and then what an earlier, longer block left below.
        _ = put(Array((start + lines.map { $0 + "\u{1B}[K\n" }.joined() + "\u{1B}[J").utf8), screenDescriptor)
    }

    private static func erasure() -> String { blockErasure() + lineErasure() }

    private static func blockErasure() -> String {
        let rows = shownRows.exchange(0, ordering: .relaxed)
        return rows == 0 ? "" : "\r\u{1B}[\(rows)A\u{1B}[J"
    }

    private static func lineErasure() -> String {
        let columns = shownColumns.exchange(0, ordering: .relaxed)
        return columns == 0 ? "" : "\r\(String(repeating: " ", count: columns))\r"
    }

    /// Lines of the terminal that is drawn on; 0 where that is not known.
    package static func terminalHeight() -> Int {
        var size = winsize()
        return ioctl(screenDescriptor, UInt(TIOCGWINSZ), &size) == 0 ? Int(size.ws_row) : 0
    }

    /// Columns of the terminal that is drawn on, or as COLUMNS says, or 80.
    package static func terminalWidth() -> Int { columns(of: screenDescriptor) }

    /// Columns of a terminal, or as COLUMNS says, or 80.
    static func columns(of descriptor: Int32) -> Int {
        var size = winsize()
        if ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
        let columns = getenv("COLUMNS").flatMap { Int(String(cString: $0)) } ?? 0
        return (1...10_000).contains(columns) ? columns : 80
    }

    /// Writes everything; 0, or the code of the error that stopped it.
    private static func put(_ bytes: [UInt8], _ descriptor: Int32) -> Int32 {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done)
            }
            if count > 0 {
                done += count
            } else if count < 0, errno == EAGAIN {
                // Another program has made the terminal or pipe that it shares with this one non-blocking.
                _ = isReady(descriptor, milliseconds: -1)
            } else if count == 0 || errno != EINTR {
                return count == 0 ? EIO : errno
            }
        }
        return 0
    }

    private static func isReady(_ descriptor: Int32, milliseconds: Int32) -> Bool {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&wanted, 1, milliseconds) > 0
    }
}
