import Basics
import Synchronization
import Testing

/// What a screen was given, in words.
private final class Screen: Sendable {
    private let said = Mutex<[String]>([])
    var texts: [String] { said.withLock { $0 } }

    func show(after delay: Duration = .zero, every interval: Duration = .zero) {
        WorkProgress.show(after: delay, every: interval) { [self] state in
            let text = state.map { "\($0.name) \($0.done) of \($0.total)" } ?? "gone"
            said.withLock { $0.append(text) }
        }
    }
}

@Suite struct WorkProgressTests {
    private func text(
        _ total: Int, _ unit: WorkProgress.Unit, done: Int, seconds: Double
    ) -> String {
        var state = WorkProgress.State("doing it", of: total, unit)
        (state.done, state.seconds) = (done, seconds)
        return state.text
    }

    @Test func aLineSaysHowFarHowFastAndHowLong() {
        #expect(
            text(1_490_000_000, .bytesWritten, done: 412_000_000, seconds: 1.33)
                == "doing it  412 / 1490 MB  27 %  310 MB/s  3 s left")
        #expect(
            text(5_000_000, .bytesRead, done: 2_500_000, seconds: 1)
                == "doing it  2.5 / 5.0 MB  50 %  2.5 MB/s  1 s left")
        #expect(
            text(40_960, .tokens, done: 28_672, seconds: 4)
                == "doing it  28672 / 40960 tokens  70 %  7168 tok/s  2 s left")
        #expect(
            text(8192, .merges, done: 512, seconds: 64)
                == "doing it  512 / 8192 merges  6 %  8 merges/s  16 min 0 s left")
        #expect(
            text(124_000_000, .parameters, done: 31_000_000, seconds: 0.5)
                == "doing it  31 / 124 million parameters  25 %  62.0 million/s  2 s left")
    }

    @Test func whatIsNotKnownIsNotSaid() {
        #expect(text(0, .bytesSent, done: 412_000_000, seconds: 2) == "doing it  412 MB  206 MB/s")
        #expect(text(10, .tokens, done: 0, seconds: 1) == "doing it  0 / 10 tokens  0 %  0 tok/s  ? left")
        // A total that was guessed too low.
        #expect(text(10, .tokens, done: 12, seconds: 1) == "doing it  10 / 10 tokens  100 %  10 tok/s  0 s left")
    }

    /// Told for the whole process, so in one of its own.
    @Test func whatIsToldIsShown() async {
        await #expect(processExitsWith: .success) { try checkShown() }
    }

    @Test func whatIsShortIsNotShown() async {
        await #expect(processExitsWith: .success) { try checkShort() }
    }

    /// An error ends the work as its end does.
    @Test func workThatFailsIsOver() async {
        await #expect(processExitsWith: .success) { try checkFailed() }
    }

    /// Bytes are told where they pass.
    @Test func filesTellTheirBytes() async {
        await #expect(processExitsWith: .success) { try checkFiles() }
    }
}

@Suite struct TimeTextTests {
    @Test(arguments: [
        (0, 0, "1970-01-01T00:00:00.000Z"), (951_827_696, 7_999_999, "2000-02-29T12:34:56.007Z"),
        (1_795_824_655, 120_000_000, "2026-11-28T00:10:55.120Z"),
    ])
    func aMomentInUTC(seconds: Int, nanoseconds: Int, text: String) {
        #expect(timestamp(seconds: seconds, nanoseconds: nanoseconds) == text)
    }

    @Test func thisMomentIsOne() {
        #expect(currentTimestamp().wholeMatch(of: /20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ/) != nil)
    }
}

// Outside of the closures, which the compiler (6.3.1) does not take with generic errors in them.

private func checkShown() throws {
    let screen = Screen()
    // Nobody looks yet.
    WorkProgress.during("a", of: 10, .tokens) { WorkProgress.advance(1, .tokens) }
    screen.show()
    WorkProgress.advance(1, .tokens)
    WorkProgress.during("b", of: 10, .tokens) {
        WorkProgress.advance(3, .tokens)
        // Of another unit, and inside other work.
        WorkProgress.advance(5, .bytesRead)
        WorkProgress.during("c", of: 1, .bytesRead) { WorkProgress.advance(5, .bytesRead) }
        WorkProgress.advance(4, .tokens)
    }
    WorkProgress.advance(1, .tokens)
    // Nothing was shown, so nothing goes.
    WorkProgress.during("d", of: 1, .tokens) {}
    #expect(screen.texts == ["b 3 of 10", "b 7 of 10", "gone"])
    WorkProgress.show(on: nil)
    WorkProgress.during("e", of: 1, .tokens) { WorkProgress.advance(1, .tokens) }
    #expect(screen.texts.count == 3)
}

private func checkShort() throws {
    let screen = Screen()
    screen.show(after: .seconds(3600))
    WorkProgress.during("a", of: 10, .tokens) { WorkProgress.advance(3, .tokens) }
    #expect(screen.texts.isEmpty)
    screen.show(every: .seconds(3600))
    WorkProgress.during("b", of: 10, .tokens) { for _ in 0..<9 { WorkProgress.advance(1, .tokens) } }
    #expect(screen.texts == ["b 1 of 10", "gone"])
}

private func checkFailed() throws {
    struct Broken: Error {}
    let screen = Screen()
    screen.show()
    #expect(throws: Broken.self) {
        try WorkProgress.during("a", of: 10, .tokens) {
            WorkProgress.advance(1, .tokens)
            throw Broken()
        }
    }
    WorkProgress.advance(1, .tokens)
    #expect(screen.texts == ["a 1 of 10", "gone"])
}

private func checkFiles() throws {
    let directory = try TemporaryDirectory()
    let screen = Screen()
    screen.show()
    let path = try WorkProgress.during("write", of: 9, .bytesWritten) { try directory.file("a", "123456789") }
    let bytes = try WorkProgress.during("read", of: 9, .bytesRead) { try InputFile(path).contents(limit: 9) }
    #expect(bytes.count == 9)
    #expect(screen.texts == ["write 9 of 9", "gone", "read 9 of 9", "gone"])
}
