import Basics
import Collectives
import Glibc
import Synchronization

/// A thread of each rank that ends the process with 76 when the job hangs, whatever hangs, MPI included.
///
/// It looks at `Activity` and tells the other ranks by datagrams beside MPI how it goes; `Lookout` decides. The lowest
/// rank that is there says one line, then all end. A rank whose launcher is gone ends as well.
///
/// It promises nothing where the kernel itself does not let a process go, such as in a read from a dead file server.
package final class Watchdog: Sendable {
    private struct Shared {
        var lookout: Lookout
        var socket: PeerSocket?
        var key: Heartbeat.Key = (0, 0)
        /// Heartbeats to send by now; a part of one waits for the next time.
        var due = 0.0
        /// Whose turn it is.
        var next = 0
        var isStopped = false

        /// Sends to this many ranks, in turns.
        mutating func tell(_ count: Int, _ farewell: Heartbeat.Farewell) {
            guard let socket else { return }
            for _ in 0..<min(count, lookout.worldSize) {
                next = (next + 1) % lookout.worldSize
                guard next != lookout.rank else { continue }
                // A rank that is not heard any more may be reached another way.
                if !lookout.hears(next) { socket.forget(next) }
                socket.send(lookout.heartbeat(to: next, farewell: farewell).datagram(key: key), to: next)
            }
        }

        mutating func listen() {
            while let socket,
                socket.receive({ bytes in
                    Heartbeat(datagram: bytes, key: key, receiver: lookout.rank, worldSize: lookout.worldSize)
                        .flatMap { lookout.hear($0) ? $0.sender : nil }
                })
            {}
        }
    }

    private static let interval = 0.25
    private let shared: Mutex<Shared>
    /// The launcher, where there is one.
    private let parent: pid_t?

    /// Starts to watch this process alone.
    ///
    /// - Parameters:
    ///   - rank: as the launcher says, until `join`.
    ///   - ranks: how many it says that there are.
    ///   - stepTimeout: seconds without progress in a step; 0: no limits.
    ///   - hasLauncher: whether the parent process must stay.
    package init(rank: Int, ranks: Int, stepTimeout: Double, hasLauncher: Bool) {
        let launcher = getppid()
        let lookout = Lookout(
            rank: rank, host: currentHostName(), isAlone: ranks == 1, stepLimit: stepTimeout,
            stoppedNeighbours: {
                Machine().stoppedChildren(of: launcher, variable: "OMPI_COMM_WORLD_RANK").map {
                    "rank \($0.value) (process \($0.process)) here is stopped"
                }
            })
        shared = Mutex(Shared(lookout: lookout))
        parent = hasLauncher ? launcher : nil
        // Without a thread there is no watch; the run itself does not need it.
        _ = startThread(stackSize: 1 << 20) { self.watch() }
    }

    /// Says the line, if there is one, and ends with 76, without waiting for anybody.
    private static func end(saying line: String?) -> Never {
        if let line { StandardStreams.sayWithoutWaiting("swiftlet: error: \(line)") }
        // The launcher ends everybody as soon as one is gone: the line should be through by then.
        usleep(line == nil ? 500_000 : 200_000)
        _exit(ExitCode.peerLost.rawValue)
    }

    /// Meets the other ranks. All call it together.
    package func join(_ communicator: any Communicator) throws(CollectiveError) {
        guard communicator.worldSize > 1 else { return }
        let socket = PeerSocket()
        let own = [communicator.hostName, socket?.introduction ?? ""].joined(separator: "\n")
        let all = try communicator.gather(Array(own.utf8), root: 0).map { String(decoding: $0, as: UTF8.self) }
        let key = (UInt64.random(in: 0 ... .max), UInt64.random(in: 0 ... .max))
        let message = try communicator.broadcast(message: (["\(key.0)", "\(key.1)"] + all).joined(separator: "\n"))
        let lines = message.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard lines.count == 2 + 2 * communicator.worldSize else { return }
        let hosts = stride(from: 2, to: lines.count, by: 2).map { lines[$0] }
        let introductions = stride(from: 3, to: lines.count, by: 2).map { lines[$0] }
        socket?.meet(introductions, hosts: hosts, host: communicator.hostName)
        let shownKey = (UInt64(lines[0]) ?? 0, UInt64(lines[1]) ?? 0)
        shared.withLock {
            $0.lookout.meet(rank: communicator.rank, hosts: hosts)
            $0.socket = socket
            $0.key = shownKey
            _ = $0.lookout.look(at: Self.now(), Activity.state)
            $0.tell($0.lookout.worldSize, .none)
        }
    }

    private static let origin = SuspendingClock.now
    private static func now() -> Double { (SuspendingClock.now - origin) / .seconds(1) }

    /// Ends the watch, in good order.
    package func stop() {
        shared.withLock {
            $0.isStopped = true
            $0.tell($0.lookout.worldSize, .done)
        }
    }

    private func watch() {
        while true {
            usleep(useconds_t(Self.interval * 1e6))
            let verdict: Lookout.Verdict? = shared.withLock { shared in
                guard !shared.isStopped else { return nil }
                if let parent, getppid() != parent { return .end(saying: shared.lookout.orphanedLine(parent)) }
                shared.listen()
                let verdict = shared.lookout.look(at: Self.now(), Activity.state)
                shared.due += Double(shared.lookout.worldSize - 1) * Self.interval / shared.lookout.period
                shared.tell(Int(shared.due), .none)
                shared.due -= shared.due.rounded(.down)
                if case .end(.some) = verdict { shared.tell(shared.lookout.worldSize, .alarm) }
                return verdict
            }
            switch verdict {
            case .quiet?: continue
            case .end(let line)?: Self.end(saying: line)
            case nil: return
            }
        }
    }
}
