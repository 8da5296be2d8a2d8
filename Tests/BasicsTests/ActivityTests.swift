import Basics
import Glibc
import Testing

private struct Broken: Error {}

/// What the watchdog sees of a process: in processes of their own, since all tests share this one's.
@Suite struct ActivityTests {
    @Test func whatIsToldIsSeen() async {
        await #expect(processExitsWith: .success) {
            #expect(Activity.state == .init())
            Activity.enter(.evaluation, step: 7)
            #expect(Activity.state == .init(section: .evaluation, step: 7, progress: 1))
            Activity.turn(toBucket: 3)
            Activity.enter(.save)
            #expect(Activity.state == .init(section: .save, step: 7, bucket: 3, progress: 2))
            Activity.turn(toBucket: -1)
            Activity.goOn()
            #expect(Activity.state == .init(section: .save, step: 7, progress: 3))
            for section in Activity.Section.allCases {
                Activity.enter(section)
                #expect(Activity.state.section == section)
            }
        }
    }

    /// However it ends, and within another one.
    @Test func aCallThatWaits() async {
        await #expect(processExitsWith: .success) {
            for round in 0..<2 {
                let progress = Activity.state.progress
                Activity.waiting {
                    #expect(throws: Broken.self) { try Activity.waiting { throw Broken() } }
                    #expect(Activity.state == .init(isWaiting: true, progress: progress + 1), "\(round)")
                }
                #expect(Activity.state == .init(progress: progress + 2), "\(round)")
            }
        }
    }

    @Test func eachCallOfTheFileSystemIsProgress() async {
        await #expect(processExitsWith: .success) {
            _ = try LocalFileSystem().status("/", followLinks: true)
            #expect(Activity.state.progress > 0)
        }
    }

    /// By the process as a whole, calls within a call once.
    @Test func whatIsWaitedIsCounted() async {
        await #expect(processExitsWith: .success) {
            #expect(Activity.waitedNanoseconds == 0)
            let clock = ContinuousClock()
            let time = clock.measure {
                Activity.waiting { _ = Activity.waiting { usleep(20_000) } }
            }
            let waited = Double(Activity.waitedNanoseconds) / 1e9
            #expect(waited >= 0.02 && waited <= time / .seconds(1))
        }
    }
}
