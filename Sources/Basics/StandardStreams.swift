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
        _ = put(Array((erasure() + line + "\n").utf8), STDERR_FILENO)
    }

    /// The same for those who must not be held up by a reader that is stuck.
    package static func sayWithoutWaiting(_ line: String) {
        if isReady(STDERR_FILENO, milliseconds: 1000) { say(line) }
    }

    // One line on standard error that is drawn again and again. It is cut to the terminal's width and taken away by
    // blanks, so that no terminal needs to know an escape code.

    /// Whether standard error is a terminal that can draw over a line.
    package static var canShowProgress: Bool {
        isatty(STDERR_FILENO) == 1 && getenv("TERM").map { strcmp($0, "dumb") != 0 } ?? true
    }

    /// Draws `text` over the progress line that is there.
    package static func showProgress(_ text: String) {
        let shown = text.prefix(max(1, terminalWidth() - 1))
        let columns = shown.count
        let blanks = max(0, shownColumns.exchange(columns, ordering: .relaxed) - columns)
        _ = put(Array("\r\(shown)\(String(repeating: " ", count: blanks))".utf8), STDERR_FILENO)
    }

    /// Takes the progress line away.
    package static func clearProgress() { _ = put(Array(erasure().utf8), STDERR_FILENO) }

    private static func erasure() -> String {
        let columns = shownColumns.exchange(0, ordering: .relaxed)
        return columns == 0 ? "" : "\r\(String(repeating: " ", count: columns))\r"
    }

    /// Columns of the terminal behind standard error, or as COLUMNS says, or 80.
    private static func terminalWidth() -> Int {
        var size = winsize()
        if ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
        let columns = getenv("COLUMNS").flatMap { Int(String(cString: $0)) } ?? 0
        return columns > 0 ? columns : 80
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
