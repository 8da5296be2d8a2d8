import Basics
import Glibc

/// Datagrams between the ranks of a job, beside MPI and without waiting for anything.
///
/// A rank tells the others its port and all addresses of its host. It is not known which of them they can reach, so a
/// peer is called at all of them until it is heard, and then where it was heard from. Sendable, since the watchdog uses it
/// under its lock alone.
package final class PeerSocket: @unchecked Sendable {
    private struct Peer {
        var candidates: [sockaddr_in]
        /// Where it was heard from.
        var answered: sockaddr_in?
    }

    private let descriptor: Int32
    private let port: in_port_t
    private var peers: [Peer] = []

    /// Nil where the system gives no socket: then less is known.
    package init?() {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | O_CLOEXEC | O_NONBLOCK, 0)
        guard descriptor >= 0 else { return nil }
        var address = Self.address(INADDR_ANY, 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = Self.withSocketAddress(&address) {
            bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
        }
        self.descriptor = descriptor
        port = address.sin_port
        guard isBound else { return nil }
    }

    deinit { close(descriptor) }

    /// Port and addresses, for `meet` on other ranks.
    package var introduction: String {
        ([String(port)] + Self.ownAddresses().map { String($0) }).joined(separator: " ")
    }

    /// Takes all ranks' introductions, empty where a rank has no socket. Those on `host` are near.
    package func meet(_ introductions: [String], hosts: [String], host: String) {
        peers = zip(introductions, hosts).map { text, itsHost in
            let numbers = text.split(separator: " ").compactMap { UInt32($0) }
            let near = itsHost == host ? [UInt32(INADDR_LOOPBACK).bigEndian] : []
            guard let port = numbers.first else { return Peer(candidates: []) }
            let addresses = near + numbers.dropFirst()
            return Peer(candidates: addresses.map { Self.address($0, in_port_t(truncatingIfNeeded: port)) })
        }
    }

    /// Sends a datagram; one that cannot be sent is lost, as any may be.
    package func send(_ bytes: [UInt8], to rank: Int) {
        for var address in peers[rank].answered.map({ [$0] }) ?? peers[rank].candidates {
            _ = Self.withSocketAddress(&address) { address in
                bytes.withUnsafeBytes {
                    sendto(
                        descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL), address,
                        socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
    }

    /// The next datagram that is there, nil when there is none. `accept` tells the rank that it is from, or nil for one
    /// that is not to be trusted.
    package func receive(_ accept: ([UInt8]) -> Int?) -> Bool {
        var bytes = [UInt8](repeating: 0, count: Heartbeat.size + 1)
        var source = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = Self.withSocketAddress(&source) { source in
            bytes.withUnsafeMutableBytes {
                recvfrom(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT), source, &length)
            }
        }
        // An error may be about an earlier datagram that nobody took; the next ones are waiting behind it.
        guard count >= 0 else { return errno == ECONNREFUSED || errno == EINTR }
        if let rank = accept(Array(bytes.prefix(count))) { peers[rank].answered = source }
        return true
    }

    /// Forgets where a rank was heard from: it may have become unreachable there.
    package func forget(_ rank: Int) { peers[rank].answered = nil }

    private static func address(_ address: in_addr_t, _ port: in_port_t) -> sockaddr_in {
        sockaddr_in(
            sin_family: sa_family_t(AF_INET), sin_port: port, sin_addr: in_addr(s_addr: address),
            sin_zero: (0, 0, 0, 0, 0, 0, 0, 0))
    }

    private static func withSocketAddress<R>(
        _ address: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>) -> R
    ) -> R {
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body)
        }
    }

    /// IPv4 addresses of interfaces that are up, this host's own loop excepted.
    private static func ownAddresses() -> [in_addr_t] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: [in_addr_t] = []
        for entry in sequence(first: list, next: { $0?.pointee.ifa_next }) {
            guard let entry, let address = entry.pointee.ifa_addr, Int32(address.pointee.sa_family) == AF_INET,
                entry.pointee.ifa_flags & UInt32(IFF_UP) != 0,
                entry.pointee.ifa_flags & UInt32(IFF_LOOPBACK) == 0
            else { continue }
            address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { found.append($0.pointee.sin_addr.s_addr) }
        }
        return Array(found.prefix(8))
    }
}
