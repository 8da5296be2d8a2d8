import Basics

/// What a rank tells another one about itself: a datagram of 64 bytes.
///
/// The key is drawn anew for each job and known to its ranks alone, so a stray datagram, or one of another job, is none.
package struct Heartbeat: Equatable {
    /// The two halves of a job's key.
    package typealias Key = (UInt64, UInt64)

    /// Whether the sender goes on.
    package enum Farewell: UInt64 {
        case none
        /// It has ended in good order.
        case done
        /// It ends the job, and has said why.
        case alarm
    }

    package static let size = 64
    private static let magic: UInt64 = 0x5357_4946_544C_4554

    package var sender: Int
    package var receiver: Int
    /// Rises from one to the next, so that an old one that comes late is known.
    package var number: UInt64
    /// `progress` is not told: what counts is whether it is overdue.
    package var state: Activity.State
    /// Whether its limit without any progress has passed.
    package var isOverdue = false
    package var farewell = Farewell.none

    package func datagram(key: Key) -> [UInt8] {
        var words: [UInt64] = [
            Self.magic, key.0, key.1, UInt64(UInt32(sender)) << 32 | UInt64(UInt32(receiver)), number,
            UInt64(bitPattern: Int64(state.step)), UInt64(bitPattern: Int64(state.bucket)),
            UInt64(state.section.rawValue) | (state.isWaiting ? 1 << 8 : 0) | (isOverdue ? 1 << 9 : 0)
                | farewell.rawValue << 10,
        ]
        words[7] |= UInt64(Self.checksum(words)) << 32
        return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
    }

    /// Nil for whatever is not a heartbeat of this job for this rank.
    package init?(datagram: [UInt8], key: Key, receiver: Int, worldSize: Int) {
        guard datagram.count == Self.size else { return nil }
        var words = [UInt64](repeating: 0, count: Self.size / 8)
        for (place, byte) in datagram.enumerated() { words[place / 8] |= UInt64(byte) << UInt64(8 * (place % 8)) }
        let checksum = UInt32(words[7] >> 32)
        words[7] &= 0xFFFF_FFFF
        guard words[0] == Self.magic, (words[1], words[2]) == key, checksum == Self.checksum(words),
            let section = Activity.Section(rawValue: UInt8(truncatingIfNeeded: words[7])),
            let farewell = Farewell(rawValue: words[7] >> 10)
        else { return nil }
        let sender = Int(words[3] >> 32)
        guard Int(words[3] & 0xFFFF_FFFF) == receiver, sender != receiver, sender < worldSize else { return nil }
        let state = Activity.State(
            section: section, step: Int(Int64(bitPattern: words[5])), bucket: Int(Int64(bitPattern: words[6])),
            isWaiting: words[7] & 1 << 8 != 0)
        self.init(
            sender: sender, receiver: receiver, number: words[4], state: state, isOverdue: words[7] & 1 << 9 != 0,
            farewell: farewell)
    }

    package init(
        sender: Int, receiver: Int, number: UInt64, state: Activity.State, isOverdue: Bool = false,
        farewell: Farewell = .none
    ) {
        self.sender = sender
        self.receiver = receiver
        self.number = number
        self.state = state
        self.isOverdue = isOverdue
        self.farewell = farewell
    }

    /// Over all words, the place of the checksum being empty.
    private static func checksum(_ words: [UInt64]) -> UInt32 {
        let hash = words.reduce(0x9E37_79B9_7F4A_7C15 as UInt64) { hash, word in
            let mixed = (hash ^ word) &* 0xBF58_476D_1CE4_E5B9
            return mixed ^ mixed >> 29
        }
        return UInt32(truncatingIfNeeded: hash >> 16)
    }
}
