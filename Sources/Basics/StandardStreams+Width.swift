import Glibc

extension StandardStreams {
    /// Columns for what is drawn on standard output: the terminal's, or as COLUMNS says, or 80.
    package static var outputColumns: Int {
        var size = winsize()
        if ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
        let columns = getenv("COLUMNS").flatMap { Int(String(cString: $0)) } ?? 0
        return (1...10_000).contains(columns) ? columns : 80
    }

    /// Whether standard output is a terminal that shows colours, and nobody asked for none (NO_COLOR).
    package static var outputHasColours: Bool {
        isatty(STDOUT_FILENO) == 1 && (getenv("NO_COLOR").map { $0.pointee == 0 } ?? true)
            && (getenv("TERM").map { strcmp($0, "dumb") != 0 } ?? true)
    }
}
