import Basics
import Foundation
import Testing
import Watchdog

/// Datagrams: what is understood, and that nothing else is.
struct HeartbeatTests {
    static let key: Heartbeat.Key = (0x0123_4567_89AB_CDEF, 42)
    static let heartbeat = Heartbeat(
        sender: 3, receiver: 1, number: 17,
        state: .init(section: .evaluation, step: 1 << 40, bucket: -1, isWaiting: true),
        isOverdue: true, farewell: .done)

    @Test func whatIsSentIsUnderstood() {
        for section in Activity.Section.allCases {
            for flags in 0..<12 {
                let sent = Heartbeat(
                    sender: 2, receiver: 0, number: .max,
                    state: .init(section: section, step: flags, bucket: flags - 1, isWaiting: flags & 1 != 0),
                    isOverdue: flags & 2 != 0, farewell: Heartbeat.Farewell(rawValue: UInt64(flags / 4)) ?? .none)
                let datagram = sent.datagram(key: Self.key)
                #expect(datagram.count == Heartbeat.size)
                #expect(Heartbeat(datagram: datagram, key: Self.key, receiver: 0, worldSize: 3) == sent)
            }
        }
    }

    @Test func anythingElseIsNothing() {
        func read(_ bytes: [UInt8], key: Heartbeat.Key = Self.key, receiver: Int = 1, worldSize: Int = 4) -> Heartbeat?
        {
            Heartbeat(datagram: bytes, key: key, receiver: receiver, worldSize: worldSize)
        }
        let good = Self.heartbeat.datagram(key: Self.key)
        #expect(read(good) == Self.heartbeat)
        for bit in 0..<8 * good.count {
            var bytes = good
            bytes[bit / 8] ^= 1 << (bit % 8)
            #expect(read(bytes) == nil, "bit \(bit)")
        }
        for count in [0, 1, 63] { #expect(read(Array(good.prefix(count))) == nil) }
        #expect(read(good + [0]) == nil)
        #expect(read(good, key: (Self.key.0, 43)) == nil && read(good, key: (0, Self.key.1)) == nil)
        #expect(read(good, receiver: 2) == nil && read(good, worldSize: 3) == nil)
        #expect(read(Heartbeat(sender: 1, receiver: 1, number: 1, state: .init()).datagram(key: Self.key)) == nil)
        for _ in 0..<1000 { #expect(read((0..<64).map { _ in .random(in: 0...255) }) == nil) }
    }

    /// Each finds the other at one of its addresses, and a stray datagram in between does nothing.
    @Test func socketsFindOneAnother() throws {
        let sockets = [try #require(PeerSocket()), try #require(PeerSocket())]
        let introductions = sockets.map(\.introduction)
        for socket in sockets { socket.meet(introductions, hosts: ["a", "a"], host: "a") }
        for round in 0..<3 {
            for own in 0..<2 {
                sockets[own].send([UInt8](repeating: 7, count: 64), to: 1 - own)
                sockets[own].send([UInt8(round), UInt8(own)], to: 1 - own)
            }
            for own in 0..<2 {
                #expect(hears(sockets[own], [UInt8(round), UInt8(1 - own)], as: 1 - own), "\(own) in round \(round)")
                while sockets[own].receive({ _ in nil }) {}
            }
        }
        // A rank without a socket is not called.
        sockets[0].meet(["", ""], hosts: ["a", "a"], host: "a")
        sockets[0].send([1], to: 1)
        #expect(!sockets[1].receive { _ in nil })
    }

    /// Whether these bytes come in within ten seconds; their sender is then known as this rank.
    private func hears(_ socket: PeerSocket, _ bytes: [UInt8], as rank: Int) -> Bool {
        var seen = false
        let deadline = Date(timeIntervalSinceNow: 10)
        while !seen, Date() < deadline {
            _ = socket.receive {
                seen = $0 == bytes
                return seen ? rank : nil
            }
        }
        return seen
    }

    @Test("A rank is called where it was heard from, and at all its addresses once that is forgotten")
    func answers() throws {
        let (own, peer, other) = try (#require(PeerSocket()), #require(PeerSocket()), #require(PeerSocket()))
        // Three ways to the same socket: 127.0.0.1 is near on the same host, and the last two of its addresses.
        let port = try #require(peer.introduction.split(separator: " ").first)
        let loop = String(UInt32(0x7F00_0001).bigEndian)
        own.meet(["", "\(port) \(loop) \(loop)"], hosts: ["a", "a"], host: "a")
        for socket in [peer, other] { socket.meet([own.introduction], hosts: ["a"], host: "a") }

        own.send([1], to: 1)
        for _ in 0..<3 { #expect(hears(peer, [1], as: 0)) }
        // One that is too long is known for it.
        own.send([UInt8](repeating: 7, count: 100), to: 1)
        for _ in 0..<3 { #expect(hears(peer, [UInt8](repeating: 7, count: Heartbeat.size + 1), as: 0)) }
        // A stranger that takes the rank's place.
        other.send([2], to: 0)
        #expect(hears(own, [2], as: 1))
        own.send([3], to: 1)
        #expect(hears(other, [3], as: 0) && !peer.receive { _ in nil })
        own.forget(1)
        own.send([4], to: 1)
        for _ in 0..<3 { #expect(hears(peer, [4], as: 0)) }

        // A rank of another host is not looked for on this one.
        own.meet(["", "\(port)"], hosts: ["a", "b"], host: "a")
        own.send([5], to: 1)
        #expect(!peer.receive { _ in nil })
    }
}
