import Basics
import Testing
import Watchdog

/// Ranks that watch one another, on a clock of their own.
private final class Play {
    struct End {
        let rank: Int
        let line: String?
        let time: Double
    }

    var lookouts: [Lookout]
    var states: [Activity.State]
    /// Time since the start of the play.
    var clock = 0.0
    /// Ranks that a SIGSTOP holds: they do nothing at all.
    var stopped: Set<Int> = []
    /// Ranks whose work does not go on.
    var stuck: Set<Int> = []
    /// Ranks that work although others do not.
    var alone: Set<Int> = []
    /// Whether datagrams go from one rank to another.
    var reaches: (Int, Int) -> Bool = { _, _ in true }
    private var due: [Double]

    init(ranks: Int, limit: Double, section: Activity.Section = .step, hosts: Int = 1) {
        let names = (0..<ranks).map { "node\($0 * hosts / ranks)" }
        lookouts = (0..<ranks).map { Lookout(rank: $0, host: names[$0], isAlone: ranks == 1, stepLimit: limit) }
        if ranks > 1 { for rank in 0..<ranks { lookouts[rank].meet(rank: rank, hosts: names) } }
        states = Array(repeating: Activity.State(section: section, step: 7), count: ranks)
        due = Array(repeating: 0, count: ranks)
    }

    func look(_ rank: Int) -> Lookout.Verdict { lookouts[rank].look(at: clock, states[rank]) }

    /// Plays this long, or until all ranks that can end have ended; tells who ended how.
    func run(_ seconds: Double) -> [End] {
        var ends: [End] = []
        let last = clock + seconds
        while clock < last, ends.count < lookouts.count - stopped.count {
            clock += 0.25
            for rank in lookouts.indices where !stopped.contains(rank) && !ends.contains(where: { $0.rank == rank }) {
                let missed = stopped.union(stuck).subtracting([rank])
                states[rank].isWaiting = !missed.isEmpty && !stuck.contains(rank) && !alone.contains(rank)
                if !states[rank].isWaiting, !stuck.contains(rank) { states[rank].progress += 1 }
                let verdict = lookouts[rank].look(at: clock, states[rank])
                if case .end(let line) = verdict { ends.append(End(rank: rank, line: line, time: clock)) }
                let farewell: Heartbeat.Farewell = if case .end(.some) = verdict { .alarm } else { .none }
                due[rank] += 0.25
                guard due[rank] >= lookouts[rank].period || farewell == .alarm else { continue }
                due[rank] = 0
                for other in lookouts.indices where other != rank && reaches(rank, other) {
                    _ = lookouts[other].hear(lookouts[rank].heartbeat(to: other, farewell: farewell))
                }
            }
        }
        return ends
    }
}

/// One rank by itself, in a class so that expectations can call it.
private final class Watch {
    var lookout: Lookout

    init(limit: Double, hosts: [String] = ["here"]) {
        lookout = Lookout(rank: 0, host: "here", isAlone: hosts.count == 1, stepLimit: limit)
        if hosts.count > 1 { lookout.meet(rank: 0, hosts: hosts) }
    }

    func look(at clock: Double, _ state: Activity.State) -> Lookout.Verdict { lookout.look(at: clock, state) }
    func hear(_ heartbeat: Heartbeat) -> Bool { lookout.hear(heartbeat) }
    func limit(of section: Activity.Section) -> Double { lookout.limit(of: section) }
}

/// What each rank concludes from what it hears and does not hear.
struct LookoutTests {
    @Test("H1: a stopped rank is named by the lowest one that is left, in limit + 5 s", arguments: [2, 3, 4, 64])
    func aStoppedRankIsNamed(ranks: Int) {
        for victim in [0, 1, ranks - 1] {
            for (section, factor, place) in [
                (Activity.Section.start, 5.0, "the start of MPI"), (.setup, 5, "the setup"),
                (.firstStep, 5, "step 7, bucket 3"), (.step, 1, "step 7, bucket 3"),
                (.evaluation, 1, "the evaluation after step 7"), (.save, 10, "the save after step 7"),
                (.sample, 1, "the sample after step 7"),
                (.end, 1, "the end, after step 7"),
            ] {
                let play = Play(ranks: ranks, limit: 12, section: section)
                for rank in 0..<ranks { play.states[rank].bucket = 3 }
                #expect(play.run(30).isEmpty)
                play.stopped = [victim]
                let start = play.clock
                let ends = play.run(1000)
                #expect(ends.map(\.rank).sorted() == (0..<ranks).filter { $0 != victim })
                let said = ends.filter { $0.line != nil }
                #expect(said.map(\.rank) == [victim == 0 ? 1 : 0])
                #expect(said.first?.line?.hasPrefix("no word for ") == true)
                #expect(said.first?.line?.contains("from rank \(victim) on node0 (last seen") == true, "\(said)")
                #expect(said.first?.line?.contains(place) == true, "\(said)")
                for end in ends { #expect(end.time - start >= 12 * factor && end.time - start <= 12 * factor + 5) }
            }
        }
    }

    @Test("H1: a rank that computes for ever is named, and not those that wait for it", arguments: [1, 2, 4])
    func aStuckRankIsNamed(ranks: Int) {
        let play = Play(ranks: ranks, limit: 60)
        _ = play.run(30)
        play.stuck = [ranks - 1]
        let ends = play.run(66)
        #expect(ends.count == ranks)
        let line = ends.first { $0.line != nil }?.line ?? ""
        #expect(line.hasPrefix("no progress for 60 s on "), "\(line)")
        #expect(line.contains(ranks > 1 ? "rank \(ranks - 1) on node0 (stuck in step 7)" : "this process"), "\(line)")
        #expect(!line.contains("rank 0 on") || ranks == 1)
        #expect(ends.filter { $0.line != nil }.count == 1)
    }

    @Test("H1: both sides of a cut cable name the other one")
    func aCutCableIsSeenFromBothSides() {
        let play = Play(ranks: 4, limit: 10, hosts: 2)
        _ = play.run(20)
        play.reaches = { ($0 < 2) == ($1 < 2) }
        for rank in 0..<4 { play.states[rank].isWaiting = true }
        play.stuck = [0, 1, 2, 3]
        // Not before the launcher had time to notice by itself.
        #expect(play.run(19).isEmpty)
        let ends = play.run(6)
        #expect(ends.map(\.rank).sorted() == [0, 1, 2, 3])
        let said = ends.filter { $0.line != nil }
        #expect(said.map(\.rank).sorted() == [0, 2])
        for end in said {
            let other = end.rank == 0 ? "rank 2 on node1" : "rank 0 on node0"
            #expect(end.line?.contains("from \(other)") == true, "\(end)")
        }
    }

    @Test func ranksThatAllWaitAreAllNamed() {
        let play = Play(ranks: 2, limit: 10)
        _ = play.run(5)
        play.stuck = [0, 1]
        // Both wait, in different places.
        let waiting = play
        waiting.states[0].section = .evaluation
        for rank in 0..<2 { waiting.states[rank].isWaiting = true }
        for _ in 0..<60 {
            waiting.clock += 0.25
            for rank in 0..<2 {
                let verdict = waiting.lookouts[rank].look(at: waiting.clock, waiting.states[rank])
                if case .end(let line?) = verdict {
                    #expect(line.contains("rank 0 on node0 (waiting in the evaluation after step 7), rank 1 on node0"))
                    #expect(waiting.clock < 5 + 10 + 2)
                    return
                }
                _ = waiting.lookouts[1 - rank].hear(waiting.lookouts[rank].heartbeat(to: 1 - rank))
            }
        }
        Issue.record("nobody noticed")
    }

    /// A network that takes no datagrams: a rank knows that it waits, not for whom.
    @Test func withoutWordsFromOthersARankStillEnds() {
        let play = Play(ranks: 3, limit: 10)
        play.reaches = { _, _ in false }
        _ = play.run(5)
        play.stopped = [2]
        let ends = play.run(16)
        #expect(ends.map(\.rank).sorted() == [0, 1])
        #expect(
            ends.first?.line?.contains("rank 0 on node0 waits in step 7 for 10 s, and nothing was ever heard from")
                == true)
    }

    @Test("H1: stops and continues within the limit raise no alarm", arguments: [2, 4, 7])
    func whatIsMerelySlowRaisesNoAlarm(ranks: Int) {
        var random = SystemRandomNumberGenerator()
        let play = Play(ranks: ranks, limit: 12)
        for _ in 0..<300 {
            let victim = Int.random(in: 0..<ranks, using: &random)
            if Bool.random(using: &random) { play.stopped = [victim] } else { play.stuck = [victim] }
            #expect(play.run(Double.random(in: 0.25...11.5, using: &random)).isEmpty)
            play.stopped = []
            play.stuck = []
            #expect(play.run(Double.random(in: 0.5...4, using: &random)).isEmpty)
        }
        // And it has not become so patient that a real one is missed.
        play.stopped = [ranks - 1]
        #expect(!play.run(5 * 12 + 5).isEmpty)
    }

    /// One reads all data, the others wait for it.
    @Test func whileOneGoesOnTheOthersWait() {
        let play = Play(ranks: 4, limit: 10, section: .setup)
        play.alone = [0]
        play.stuck = [3]
        // Rank 3 waits as well: nobody is stuck.
        play.stuck = []
        for _ in 0..<4000 {
            play.clock += 0.25
            play.states[0].progress += 1
            for rank in 0..<4 {
                play.states[rank].isWaiting = rank > 0
                #expect(play.look(rank) == .quiet)
                for other in 0..<4 where other != rank {
                    _ = play.lookouts[other].hear(play.lookouts[rank].heartbeat(to: other))
                }
            }
        }
    }

    /// A rank that hangs in the start of MPI has met nobody; who of its host is stopped can be seen all the same.
    @Test(
        "H1: before the ranks have met",
        arguments: [
            ([], "and does not know yet for whom;"),
            (["rank 0 is stopped", "rank 1"], "while rank 0 is stopped, rank 1;"),
        ])
    func beforeTheRanksHaveMet(neighbours: [String], words: String) {
        var lookout = Lookout(
            rank: 2, host: "node7", isAlone: false, stepLimit: 2, stoppedNeighbours: { neighbours })
        let state = Activity.State(isWaiting: true)
        for tick in 0..<60 {
            if case .end(let line) = lookout.look(at: Double(tick) / 4, state) {
                #expect(tick >= 40 && tick <= 44)
                #expect(
                    line?.hasPrefix("rank 2 on node7 waits in the start of MPI for 10 s, " + words) == true,
                    "\(line ?? "")")
                return
            }
        }
        Issue.record("nobody noticed")
    }

    @Test func whatWasSeenRaisesTheLimit() {
        let lookout = Watch(limit: 60)
        var state = Activity.State(section: .step, step: 1)
        #expect(lookout.limit(of: .step) == 60 && lookout.limit(of: .save) == 600 && lookout.limit(of: .setup) == 300)
        for tick in 0..<160 {
            if tick % 80 == 0 { state.progress += 1 }
            #expect(lookout.look(at: Double(tick) * 0.25, state) == .quiet)
        }
        #expect(lookout.limit(of: .step) == 100 && lookout.limit(of: .evaluation) == 60)
    }

    /// The time in which a rank was stopped says nothing about how long a step takes.
    @Test func whatAStopCostIsNotLearnt() {
        let play = Play(ranks: 2, limit: 40)
        _ = play.run(10)
        play.stopped = [1]
        #expect(play.run(35).isEmpty)
        play.stopped = []
        #expect(play.run(10).isEmpty)
        #expect(play.lookouts.allSatisfy { $0.limit(of: .step) == 40 })
    }

    @Test func aWatchThatWasStoppedItselfStartsAnew() {
        let lookout = Watch(limit: 10)
        let state = Activity.State(section: .step, step: 1)
        for tick in 0..<30 { #expect(lookout.look(at: Double(tick) * 0.25, state) == .quiet) }
        // An hour later, nothing has moved: the process was stopped, or the machine slept.
        #expect(lookout.look(at: 3600, state) == .quiet)
        #expect(lookout.look(at: 3600.25, state) == .quiet)
        #expect(lookout.look(at: 3601.25, state) == .quiet)
        #expect(lookout.look(at: 3602, state) != .quiet)
    }

    @Test func aRankThatHasLeftIsNotMissed() {
        let play = Play(ranks: 2, limit: 5, section: .end)
        _ = play.run(5)
        _ = play.lookouts[0].hear(play.lookouts[1].heartbeat(to: 0, farewell: .done))
        play.stuck = [0]
        play.stopped = [1]
        let ends = play.run(20)
        #expect(ends.first?.line?.contains("on rank 0 on node0 (stuck at the end, after step 7)") == true, "\(ends)")
    }

    @Test func zeroIsNoLimit() {
        let play = Play(ranks: 2, limit: 0)
        play.stopped = [1]
        #expect(play.run(100_000).isEmpty)
    }

    @Test func oldHeartbeatsSayNothing() {
        let lookout = Watch(limit: 60, hosts: ["a", "b"])
        let state = Activity.State(section: .step, step: 2)
        #expect(lookout.hear(Heartbeat(sender: 1, receiver: 0, number: 2, state: state)))
        #expect(!lookout.hear(Heartbeat(sender: 1, receiver: 0, number: 2, state: state)))
        #expect(!lookout.hear(Heartbeat(sender: 1, receiver: 0, number: 1, state: state, farewell: .alarm)))
        #expect(lookout.look(at: 1, state) == .quiet)
    }

    /// At any number of ranks, a rank sends at most 64 datagrams a second where the limit is a minute.
    @Test(arguments: [2, 64, 65, 1000, 100_000]) func trafficIsBounded(ranks: Int) {
        var lookout = Lookout(rank: 0, host: "a", isAlone: false, stepLimit: 60)
        lookout.meet(rank: 0, hosts: Array(repeating: "a", count: ranks))
        #expect(Double(ranks - 1) / lookout.period <= 64)
        #expect(ranks > 65 || lookout.period == 1)
    }
}
