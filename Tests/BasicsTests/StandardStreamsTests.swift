import Basics
import Glibc
import Testing

/// Makes a pipe of standard error, and gives its ends.
private func pipeOfStandardError() -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0, dup2(ends[1], STDERR_FILENO) == STDERR_FILENO else { exit(1) }
    alarm(60)
    return (ends[0], ends[1])
}

/// What has been written by now, of a pipe.
private func written(_ end: Int32) -> String {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = read(end, &bytes, bytes.count)
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
}

/// What has been written up to a mark: a terminal hands on in pieces, and late where the machine is busy.
private func written(_ end: Int32, upTo mark: String) -> String {
    var text = ""
    while !text.hasSuffix(mark) {
        let piece = written(end)
        guard !piece.isEmpty else { return text + " and then its end" }
        text += piece
    }
    return text
}

/// Standard error with the test for its reader, in processes of their own.
@Suite struct StandardStreamsTests {
    @Test("H1: a reader that is stuck does not hold up who must not wait") func stuckReader() async {
        await #expect(processExitsWith: .success) {
            let ends = pipeOfStandardError()
            StandardStreams.sayWithoutWaiting("heard")
            #expect(written(ends.read) == "heard\n")
            let bytes = [UInt8](repeating: 0, count: 1 << 16)
            _ = fcntl(ends.write, F_SETFL, O_NONBLOCK)
            while write(ends.write, bytes, bytes.count) > 0 {}
            _ = fcntl(ends.write, F_SETFL, 0)
            // Were it to wait, the alarm would end this process.
            StandardStreams.sayWithoutWaiting("not heard")
            // Not by way of what else might be said at the end.
            _exit(EXIT_SUCCESS)
        }
    }

    @Test("W5: the progress line is drawn over, cut to the width, and gone before anything else is said")
    func progressLine() async {
        await #expect(processExitsWith: .success) {
            let ends = pipeOfStandardError()
            setenv("COLUMNS", "20", 1)
            StandardStreams.showProgress("abc")
            StandardStreams.showProgress("d")
            StandardStreams.say("line")
            StandardStreams.say("line")
            #expect(written(ends.read) == "\rabc\rd  \r \rline\nline\n")
            StandardStreams.showProgress(String(repeating: "x", count: 20) + "yz")
            StandardStreams.clearProgress()
            StandardStreams.clearProgress()
            let blanks = String(repeating: " ", count: 19)
            #expect(written(ends.read) == "\r\(String(repeating: "x", count: 19))\r\(blanks)\r")
            // Without a width that is one: 80.
            for columns in ["0", "-3", "wide", ""] {
                setenv("COLUMNS", columns, 1)
                StandardStreams.showProgress(String(repeating: "z", count: 100))
                #expect(written(ends.read) == "\r" + String(repeating: "z", count: 79), "\(columns)")
            }
        }
    }

    @Test("a block is drawn in place, cleared before anything else is said, and gone at the end") func block() async {
        await #expect(processExitsWith: .success) {
            let ends = pipeOfStandardError()
            StandardStreams.showBlock(["ab", "c"])
            StandardStreams.showBlock(["d"])
            StandardStreams.say("line")
            StandardStreams.say("line")
            #expect(
                written(ends.read) == "ab\u{1B}[K\nc\u{1B}[K\n\u{1B}[J" + "\r\u{1B}[2Ad\u{1B}[K\n\u{1B}[J"
                    + "\r\u{1B}[1A\u{1B}[Jline\nline\n")
            // A line in place of a block, and a block in place of a line.
            StandardStreams.showBlock(["x"])
            StandardStreams.showProgress("y")
            StandardStreams.showBlock(["z"])
            StandardStreams.clearProgress()
            StandardStreams.clearProgress()
            #expect(
                written(ends.read) == "x\u{1B}[K\n\u{1B}[J" + "\r\u{1B}[1A\u{1B}[J\ry" + "\r \rz\u{1B}[K\n\u{1B}[J"
                    + "\r\u{1B}[1A\u{1B}[J")
            // Standard error is a pipe.
            #expect(!StandardStreams.canShowProgress && !StandardStreams.canShowBlock)
            for (value, mayColour) in [("1", false), ("0", false), ("", true)] {
                setenv("NO_COLOR", value, 1)
                #expect(StandardStreams.mayColour == mayColour, "\(value)")
            }
        }
    }

    @Test("a display on another terminal than standard error leaves that alone") func anotherTerminal() async {
        await #expect(processExitsWith: .success) {
            let ends = pipeOfStandardError()
            setenv("TERM", "xterm", 1)
            for path in ["/dev/null", "/nowhere"] { StandardStreams.draw(onTerminal: path) }
            #expect(!StandardStreams.isScreenApart && !StandardStreams.canShowBlock)
            // A terminal of its own: unlocked, and by its number (TIOCSPTLCK, TIOCGPTN).
            let terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY)
            var (lock, number) = (Int32(0), Int32(-1))
            guard ioctl(terminal, 0x4004_5431, &lock) == 0, ioctl(terminal, 0x8004_5430, &number) == 0 else { exit(1) }
            StandardStreams.draw(onTerminal: "/dev/pts/\(number)")
            #expect(StandardStreams.isScreenApart && StandardStreams.canShowBlock)
            var size = winsize(ws_row: 5, ws_col: 33, ws_xpixel: 0, ws_ypixel: 0)
            #expect(ioctl(terminal, UInt(TIOCSWINSZ), &size) == 0)
            #expect(StandardStreams.terminalWidth() == 33 && StandardStreams.terminalHeight() == 5)
            StandardStreams.showBlock(["ab"])
            StandardStreams.say("line")
            StandardStreams.showBlock(["end"])
            // A terminal makes two characters of a newline.
            let blocks = "ab\u{1B}[K\r\n\u{1B}[J" + "\r\u{1B}[1A\u{1B}[J" + "end\u{1B}[K\r\n\u{1B}[J"
            #expect(written(terminal, upTo: "end\u{1B}[K\r\n\u{1B}[J") == blocks)
            #expect(written(ends.read) == "line\n")
        }
    }
}
