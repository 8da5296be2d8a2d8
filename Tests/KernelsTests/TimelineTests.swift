import Kernels
import Testing

/// The recording of a step: what it holds, and that it takes no memory however long it goes on.
@Suite struct TimelineTests {
    @Test func aFullRecordingDropsWhatComes() {
        let timeline = Timeline(capacity: 100)
        let capacity = timeline.events.capacity
        for index in 0..<capacity + 10 { timeline.record(.layer, index: index, since: Timeline.now()) }
        #expect(timeline.events.count == capacity && timeline.events.capacity == capacity)
        #expect(timeline.events.last?.index == capacity - 1)
        timeline.removeAll()
        timeline.record(.norm, since: 0)
        #expect(timeline.events.count == 1 && timeline.events.capacity == capacity)
    }

    @Test func eventsBeginAndEnd() throws {
        let timeline: Timeline? = Timeline()
        let before = Timeline.now()
        let value = try timeline.timed(.head, index: 3) { () throws -> Int in
            while Timeline.now() < before + 1_000_000 {}
            return 7
        }
        let event = try #require(timeline?.events.first)
        #expect(value == 7 && event.phase == .head && event.index == 3)
        #expect(event.start >= before && event.end >= before + 1_000_000 && event.end <= Timeline.now())
    }
}
