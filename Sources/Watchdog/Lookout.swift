import Basics

/// What one rank knows of all, and what follows from it: no clock, no socket and no thread, so that tests can play
/// every case.
///
/// A rank that neither goes on nor waits for another is stuck; one that is silent has been stopped, or its host is gone.
/// As long as anybody goes on, the others only wait.
package struct Lookout {
    package enum Verdict: Equatable {
        case quiet
        /// The process must end, after saying this; nil where another rank says it.
        case end(saying: String?)
    }

    private struct Peer {
        var host: String
        var newest: Heartbeat?
        var heardAt = 0.0
        var hasLeft: Bool { newest?.farewell == .done }
    }

    package private(set) var rank: Int
    private let host: String
    /// Whether there are no other ranks at all.
    private let isAlone: Bool
    /// Seconds without progress that a step may take, before more is known; 0: no limit.
    private let stepLimit: Double
    /// The ranks of this host that a signal holds, in words: all there is to say of others before they have met.
    private let stoppedNeighbours: @Sendable () -> [String]
    /// All ranks, this one among them; empty before they have met.
    private var peers: [Peer] = []
    /// Seconds that this watch has been awake: whatever stopped this process stopped its clock.
    private var awake = 0.0
    private var lastClock: Double?
    private var own = Activity.State()
    /// When the newest sign of progress was seen.
    private var movedAt = 0.0
    /// The longest time without one by section, when all ranks were there.
    private var longest = [Double](repeating: 0, count: Activity.Section.allCases.count)
    private var isDisturbed = false
    private var alarmedAt: Double?
    private var sent: UInt64 = 0

    /// A watch that knows of no other rank yet.
    /// - Parameter isAlone: whether there is no other one.
    package init(
        rank: Int, host: String, isAlone: Bool, stepLimit: Double,
        stoppedNeighbours: @escaping @Sendable () -> [String] = { [] }
    ) {
        self.stoppedNeighbours = stoppedNeighbours
        self.rank = rank
        self.host = host
        self.isAlone = isAlone
        self.stepLimit = stepLimit
    }

    /// From now on others may be heard.
    package mutating func meet(rank: Int, hosts: [String]) {
        self.rank = rank
        peers = hosts.map { Peer(host: $0, heardAt: awake) }
    }

    package var worldSize: Int { max(1, peers.count) }

    /// Seconds between two heartbeats from one rank to the same other one: at most 64 are sent in a second.
    package var period: Double { max(stepLimit > 0 ? min(1, stepLimit / 6) : 1, Double(worldSize - 1) / 64) }

    /// Seconds without a heartbeat after which a rank counts as silent.
    private var patience: Double { max(2, 3 * period) }

    /// Seconds without progress that a section may take: more where a lot is read and written, and five times what was
    /// seen.
    package func limit(of section: Activity.Section) -> Double {
        let factor =
            switch section {
            case .start, .setup, .firstStep: 5.0
            case .save: 10.0
            case .step, .evaluation, .sample, .end: 1.0
            }
        return max(stepLimit * factor, 5 * longest[Int(section.rawValue)])
    }

    private var idle: Double { awake - movedAt }
    private var isOverdue: Bool { stepLimit > 0 && idle >= limit(of: own.section) }

    /// What to tell another rank.
    package mutating func heartbeat(to receiver: Int, farewell: Heartbeat.Farewell = .none) -> Heartbeat {
        sent += 1
        return Heartbeat(
            sender: rank, receiver: receiver, number: sent, state: own, isOverdue: isOverdue, farewell: farewell)
    }

    /// Takes what another rank tells, unless something newer is known; says whether it was taken.
    package mutating func hear(_ heartbeat: Heartbeat) -> Bool {
        guard heartbeat.number > peers[heartbeat.sender].newest?.number ?? 0 else { return false }
        peers[heartbeat.sender].newest = heartbeat
        peers[heartbeat.sender].heardAt = awake
        return true
    }

    /// Whether a rank has been heard lately.
    package func hears(_ rank: Int) -> Bool { isFresh(peers[rank]) }

    /// Looks around, some times a second.
    /// - Parameter clock: seconds of a clock that never goes back.
    package mutating func look(at clock: Double, _ state: Activity.State) -> Verdict {
        let passed = clock - (lastClock ?? clock)
        lastClock = clock
        awake += min(passed, 1)
        if passed > 1 { isDisturbed = true }
        if state.progress != own.progress {
            let place = Int(own.section.rawValue)
            if !isDisturbed { longest[place] = max(longest[place], idle) }
            movedAt = awake
            isDisturbed = false
        }
        own = state
        if peers.contains(where: { $0.newest?.farewell == .alarm }) { return .end(saying: nil) }

        let silent = others { $0.newest != nil && !isFresh($0) }
        if !silent.isEmpty { isDisturbed = true }
        guard isAlarming(silent: silent) else {
            alarmedAt = nil
            return .quiet
        }
        // The lowest rank that is there speaks. The others wait for its word, or until it should have come.
        let since = alarmedAt ?? awake
        alarmedAt = since
        let fresh = others { isFresh($0) }
        let delay = fresh.isEmpty ? 0.25 * Double(min(rank, 6)) : (fresh[0] < rank ? 1.5 : 0)
        return awake - since >= delay ? .end(saying: line(silent: silent)) : .quiet
    }

    private func isAlarming(silent: [Int]) -> Bool {
        guard stepLimit > 0 else { return false }
        let limit = limit(of: own.section)
        if silent.isEmpty { return isOverdue && others { isFresh($0) && $0.newest?.isOverdue == false }.isEmpty }
        // The newest word may be as old as a period when a rank falls silent. As long as this one goes on, nobody is missed.
        return idle >= limit / 4
            && silent.contains { awake - peers[$0].heardAt >= max(limit, launchersPatience(for: $0)) + period }
    }

    /// Seconds in which the launcher itself should notice that a whole host is gone (launch/common.sh asks it to look).
    /// Were a rank to end before that, the launcher would try to reach that host first, and not end.
    private func launchersPatience(for other: Int) -> Double {
        peers.contains { $0.host == peers[other].host && isFresh($0) } || peers[other].host == host ? 0 : 20
    }

    private func isFresh(_ peer: Peer) -> Bool { peer.newest != nil && awake - peer.heardAt < patience }

    /// The other ranks that are still part of the job and fit, from the lowest.
    private func others(_ fits: (Peer) -> Bool) -> [Int] {
        peers.indices.filter { $0 != rank && !peers[$0].hasLeft && fits(peers[$0]) }
    }

    // Words

    private static let advice = "; the run ends here, the same command goes on from the newest checkpoint"

    package func orphanedLine(_ launcher: Int32) -> String {
        "\(name(rank)): its launcher (process \(launcher)) is gone\(Self.advice)"
    }

    private func line(silent: [Int]) -> String {
        let seconds = Int(silent.map { awake - peers[$0].heardAt }.max() ?? idle)
        let stuck = (others { $0.newest?.state.isWaiting == false } + (own.isWaiting ? [] : [rank])).sorted()
        let unheard = others { $0.newest == nil }
        let waits = "\(name(rank)) waits \(place(own))"
        let what: String
        if !silent.isEmpty {
            what = "no word for \(seconds) s from \(list(silent, "last seen")), while \(waits)"
        } else if !stuck.isEmpty {
            what = "no progress for \(Int(idle)) s on \(list(stuck, "stuck"))"
        } else if peers.isEmpty {
            let stopped = stoppedNeighbours()
            what =
                "\(waits) for \(Int(idle)) s, "
                + (stopped.isEmpty ? "and does not know yet for whom" : "while \(stopped.joined(separator: ", "))")
        } else if !unheard.isEmpty {
            what = "\(waits) for \(Int(idle)) s, and nothing was ever heard from \(list(unheard, ""))"
        } else {
            what = "no progress for \(Int(idle)) s: \(list(Array(peers.indices), "waiting"))"
        }
        return what + Self.advice + "; where it is only slow, give a larger --step-timeout"
    }

    private func name(_ other: Int) -> String {
        isAlone ? "this process" : "rank \(other) on \(other == rank ? host : peers[other].host)"
    }

    private func list(_ ranks: [Int], _ verb: String) -> String {
        let shown = ranks.prefix(8).map { other in
            let state = other == rank ? own : peers[other].newest?.state
            return name(other) + (state.map { " (\(verb) \(place($0)))" } ?? "")
        }
        return shown.joined(separator: ", ") + (ranks.count > 8 ? " and \(ranks.count - 8) more" : "")
    }

    private func place(_ state: Activity.State) -> String {
        switch state.section {
        case .start: "in the start of MPI"
        case .setup: "in the setup"
        case .firstStep, .step: "in step \(state.step)" + (state.bucket >= 0 ? ", bucket \(state.bucket)" : "")
        case .evaluation: "in the evaluation after step \(state.step)"
        case .save: "in the save after step \(state.step)"
        case .sample: "in the sample after step \(state.step)"
        case .end: "at the end, after step \(state.step)"
        }
    }
}
