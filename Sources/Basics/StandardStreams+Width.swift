import Glibc

extension StandardStreams {
    /// Columns for what is drawn on standard output: the terminal's, or as COLUMNS says, or 80.
    package static var outputColumns: Int { columns(of: STDOUT_FILENO) }

    /// Whether standard output is a terminal that shows colours, and nobody asked for none (NO_COLOR).
    package static var outputHasColours: Bool { canDraw(on: STDOUT_FILENO) && mayColour }
}
