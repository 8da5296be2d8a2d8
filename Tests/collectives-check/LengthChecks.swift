import Collectives
import MPICollectives
import TestSupport

/// Ranks 0 and 1 disagree about the length of a message: rank 1 expects 5 elements and gets 3, or 8. What it would find
/// behind a message that is too short are old values, so each of these must throw on rank 1. `too-many` is another
/// disagreement: rank 1 starts more receives than there are places for.
func disagreeAboutLength(_ kind: String, on communicator: MPICommunicator) throws {
    let sent = kind == "long" ? 8 : 3
    let peer = 1 - communicator.rank
    guard peer >= 0 else { return }
    if kind == "too-many" {
        let memory = FixedFloats([Float](repeating: 0, count: 1))
        for _ in 0..<600 where communicator.rank == 1 {
            _ = try communicator.startReceive(into: memory, 0..<1, from: peer, tag: 0)
        }
    } else {
        let memory = FixedFloats([Float](repeating: Float(communicator.rank), count: 10))
        if communicator.rank == 0 {
            try communicator.finish(try communicator.startSend(memory, 0..<sent, to: peer, tag: 0))
        } else {
            try communicator.finish(try communicator.startReceive(into: memory, 0..<5, from: peer, tag: 0))
        }
    }
    // Rank 1 never comes here. Rank 0 is ended by its abort.
    try communicator.barrier()
    tell("nobody noticed", on: communicator)
}
