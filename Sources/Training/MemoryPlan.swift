import Basics
import Kernels

/// What a rank will reserve, beside what there is: looked at before anything is reserved.
package struct MemoryPlan {
    /// Bytes of buffers by use.
    package let bytes: [MemoryUse: Int]
    /// Bytes of all of them; `Int.max` stands for more than that.
    package var total: Int { bytes.values.reduce(0, saturatingSum) }
    /// Bytes that a rank can have; nil where the system does not say.
    package let room: Int?
    private let source: String

    /// What a rank takes besides its buffers, or needs for moments: the program and its libraries, oneDNN's generated
    /// code, stacks, pages to align large buffers with.
    package static let margin = 96 << 20

    /// Why it cannot fit, in an error for the user; nil where it does. `bytes` end where it no longer fitted.
    package let refusal: ExitError?

    /// Makes the parts with a memory that counts.
    ///
    /// - Parameters:
    ///   - ranks: the ranks of this host, which share its memory. All must plan before one of them reserves.
    ///   - largest: finds the largest micro-batch that fits; nil where there is no such option.
    ///   - parts: makes the parts for a size of micro-batches, or as they are for nil.
    /// - Throws: `KernelError` when oneDNN fails.
    package init(
        judging ranks: Int, machine: Machine = Machine(),
        largest: ((_ fits: (Int) throws -> Bool) throws -> Int?)? = nil,
        parts: (_ microBatch: Int?, Memory) throws -> Void
    ) throws {
        let rooms = machine.memoryRooms.map { ($0.isShared ? $0.bytes / max(1, ranks) : $0.bytes, $0.source) }
        let tightest = rooms.min { $0.0 < $1.0 }
        room = tightest?.0
        source = tightest?.1 ?? ""
        let limit = max(0, (room ?? .max) - Self.margin)

        func plan(_ microBatch: Int?) throws -> Memory {
            let memory = Memory(planningWithin: limit)
            do {
                try parts(microBatch, memory)
            } catch is KernelError where memory.total > limit {
                // It ended where it no longer fitted; what was counted says by how much.
            }
            return memory
        }
        let memory = try plan(nil)
        bytes = memory.bytes
        guard memory.total > limit else {
            refusal = nil
            return
        }
        var advice = "use a smaller model"
        if let largest {
            let fitting = try largest { try plan($0).total <= limit }
            advice =
                fitting.map { "the largest --micro-batch that fits and divides the batch is \($0)" }
                ?? "no --micro-batch fits: use a smaller model"
        }
        if ranks > 1 { advice += ", or fewer ranks here" }
        refusal = .usage(
            "\(ranks > 1 ? "each of the \(ranks) ranks here needs" : "this needs") "
                + "\(memoryText(saturatingSum(memory.total, Self.margin))) of memory (\(Self.list(bytes)), the program "
                + "itself \(memoryText(Self.margin))), and \(source) leaves \(memoryText(room ?? 0))"
                + "\(ranks > 1 ? " for each" : ""); \(advice)")
    }

    /// The same, where it must fit.
    /// - Throws: `ExitError` (64) when it does not, `KernelError` when oneDNN fails.
    package init(
        ranks: Int, machine: Machine = Machine(), largest: ((_ fits: (Int) throws -> Bool) throws -> Int?)? = nil,
        parts: (_ microBatch: Int?, Memory) throws -> Void
    ) throws {
        self = try Self(judging: ranks, machine: machine, largest: largest, parts: parts).fitting()
    }

    /// This plan.
    /// - Throws: `ExitError` (64) when it does not fit.
    package func fitting() throws(ExitError) -> MemoryPlan {
        if let refusal { throw refusal }
        return self
    }

    /// Where a limit on address space leaves less than the program itself takes, an allocation could fail anywhere.
    /// - Throws: `ExitError` (64).
    package static func requireRoomForProgram(machine: Machine = Machine()) throws(ExitError) {
        guard let room = machine.memoryRooms.first(where: { !$0.isShared }), room.bytes < margin else { return }
        throw .usage(
            "\(room.source) leaves \(memoryText(room.bytes)) of memory, and the program itself takes \(memoryText(margin)); "
                + "raise that limit")
    }

    /// A line for the log.
    package var text: String {
        let available = room.map { "; \(source) leaves \(memoryText($0))" } ?? ""
        return "memory: \(memoryText(total)) a rank: \(Self.list(bytes))\(available)"
    }

    private static func list(_ bytes: [MemoryUse: Int]) -> String {
        MemoryUse.allCases.compactMap { use in
            bytes[use].flatMap { $0 > 0 ? "\(use.rawValue) \(memoryText($0))" : nil }
        }.joined(separator: ", ")
    }
}

/// A size for people: three digits and a unit of 1000.
package func memoryText(_ bytes: Int) -> String {
    let units = ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
    var value = Double(bytes)
    var unit = 0
    while value >= 999.5, unit < units.count - 1 {
        value /= 1000
        unit += 1
    }
    return "\(fixed(value, unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)) \(units[unit])"
}
