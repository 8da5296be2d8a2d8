import Basics
import Foundation
import TestSupport
import Testing
import Watchdog

/// A job's key, from the first two of some numbers in text.
private func key(_ text: [UInt8]) -> Heartbeat.Key? {
    let words = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    let numbers = words.prefix(2).compactMap { UInt64($0) }
    return numbers.count == 2 ? (numbers[0], numbers[1]) : nil
}

/// The key that rank 0 has given to all.
private func key(of rank: LoneRank) -> Heartbeat.Key? {
    rank.calls.first { $0.name == "broadcast" }.flatMap { key($0.bytes) }
}

/// What a whole watchdog tells the other rank, whose socket is the test's, and what it makes of that one's words.
@Suite struct WatchdogTalkTests {
    /// What a socket has got, up to a datagram that `isLast`, or for ten seconds.
    private func heard(_ socket: PeerSocket, isLast: ([[UInt8]]) -> Bool) -> [[UInt8]] {
        var datagrams: [[UInt8]] = []
        let deadline = Date(timeIntervalSinceNow: 10)
        while !isLast(datagrams), Date() < deadline {
            _ = socket.receive {
                datagrams.append($0)
                return nil
            }
        }
        return datagrams
    }

    private func heartbeats(_ datagrams: [[UInt8]], _ key: Heartbeat.Key) -> [Heartbeat] {
        datagrams.compactMap { Heartbeat(datagram: $0, key: key, receiver: 1, worldSize: 2) }
    }

    @Test("A rank that ends in good order says so") func done() throws {
        let socket = try #require(PeerSocket())
        let rank = LoneRank(others: ["here\n" + socket.introduction])
        let watchdog = Watchdog(rank: 0, ranks: 2, stepTimeout: 0, hasLauncher: false)
        try watchdog.join(rank)
        watchdog.stop()
        let jobKey = try #require(key(of: rank))
        let found = heartbeats(heard(socket) { heartbeats($0, jobKey).last?.farewell == .done }, jobKey)
        #expect(found.first?.farewell == Heartbeat.Farewell.none && found.last?.farewell == .done, "\(found)")
        #expect(found.allSatisfy { $0.sender == 0 })
    }

    /// Open MPI would end a real rank too, so here it is a process whose parent ends, and which closes a pipe by ending.
    @Test("H5: a rank without its launcher ends, and says so") func orphan() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
            var (ends, ready): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
            guard pipe(&ends) == 0, pipe(&ready) == 0, let symbol = dlsym(nil, "fork") else { exit(1) }
            let fork = unsafeBitCast(symbol, to: (@convention(c) () -> pid_t).self)
            alarm(60)
            if fork() == 0 {
                if fork() == 0 {
                    let watchdog = Watchdog(rank: 0, ranks: 1, stepTimeout: 0, hasLauncher: true)
                    _ = write(ready[1], "!", 1)
                    // This thread's signals are blocked, an alarm too.
                    withExtendedLifetime(watchdog) { _ = sleep(60) }
                    _exit(1)
                }
                var byte: UInt8 = 0
                _ = read(ready[0], &byte, 1)
                _exit(0)
            }
            close(ends[1])
            var byte: UInt8 = 0
            while read(ends[0], &byte, 1) > 0 {}
        }
        let words = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(words.contains(/error: .*launcher/), "\(words)")
    }

    /// Its process ends too soon to be asked what was sent, so the socket and the key are here.
    @Test("H1: a rank that says why the job ends tells the others at once") func alarmIsTold() async throws {
        let socket = try #require(PeerSocket())
        let result = await #expect(
            processExitsWith: .exitCode(76), observing: [\.standardErrorContent]
        ) { [introduction = socket.introduction as String] in
            alarm(60)
            // Ten times the limit, until the ranks have met.
            Activity.enter(.save, step: 6)
            let watchdog = Watchdog(rank: 0, ranks: 2, stepTimeout: 0.4, hasLauncher: false)
            let rank = LoneRank(others: ["here\n" + introduction])
            try watchdog.join(rank)
            guard let jobKey = key(of: rank), let messenger = PeerSocket() else { exit(1) }
            messenger.meet([introduction], hosts: ["here"], host: "here")
            messenger.send(Array("\(jobKey.0) \(jobKey.1)".utf8), to: 0)
            Activity.enter(.step, step: 7)
            while true { pause() }
        }
        let words = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(words.contains(/error: no progress for \d+ s on rank 0 on .* \(stuck in step 7\)/), "\(words)")

        func decoded(_ datagrams: [[UInt8]]) -> [Heartbeat] {
            let jobKey = datagrams.first { $0.count < Heartbeat.size }.flatMap { key($0) }
            return jobKey.map { heartbeats(datagrams, $0) } ?? []
        }
        let found = decoded(heard(socket) { decoded($0).last?.farewell == .alarm })
        #expect(found.first?.farewell == Heartbeat.Farewell.none && found.last?.farewell == .alarm, "\(found)")
        #expect(found.last?.state == Activity.State(section: .step, step: 7) && found.last?.isOverdue == true)
    }

    @Test("H1: who is stopped on this host is named before the ranks have met") func stoppedNeighbour() async throws {
        let neighbour = try Subprocess("/bin/sleep", ["100"], environment: ["OMPI_COMM_WORLD_RANK": "1"])
        defer { neighbour.signal(SIGKILL) }
        neighbour.signal(SIGSTOP)
        let result = await #expect(processExitsWith: .exitCode(76), observing: [\.standardErrorContent]) {
            alarm(60)
            let watchdog = Watchdog(rank: 0, ranks: 2, stepTimeout: 0.1, hasLauncher: true)
            Activity.waiting { while true { pause() } }
            watchdog.stop()
        }
        let words = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(words.contains(/rank 0 on .* waits in the start of MPI for \d+ s, while/), "\(words)")
        #expect(words.contains("rank 1 (process \(neighbour.processIdentifier)) here is stopped"), "\(words)")
    }

    @Test("H1: another rank's alarm ends this one, without a word") func alarmIsHeard() async {
        let result = await #expect(processExitsWith: .exitCode(76), observing: [\.standardErrorContent]) {
            alarm(60)
            let watchdog = Watchdog(rank: 0, ranks: 2, stepTimeout: 0, hasLauncher: false)
            guard let socket = PeerSocket() else { exit(1) }
            let rank = LoneRank(others: ["here\n" + socket.introduction])
            try watchdog.join(rank)
            let word = rank.calls.first { $0.name == "gather" }?.bytes ?? []
            let introduction = String(decoding: word, as: UTF8.self).split(separator: "\n").last.map(String.init) ?? ""
            guard let jobKey = key(of: rank) else { exit(2) }
            socket.meet([introduction, ""], hosts: ["here", "here"], host: "here")
            let heartbeat = Heartbeat(sender: 1, receiver: 0, number: 1, state: .init(), farewell: .alarm)
            socket.send(heartbeat.datagram(key: jobKey), to: 0)
            while true { pause() }
        }
        let words = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(!words.contains("swiftlet: error"), "\(words)")
    }
}
