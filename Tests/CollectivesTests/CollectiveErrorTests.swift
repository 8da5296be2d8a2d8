import Basics
import Collectives
import Testing

struct CollectiveErrorTests {
    @Test func `Who has lost a peer is told where to look, and nobody else`() {
        func text(_ exitCode: ExitCode) -> String {
            CollectiveError(operation: "barrier", rank: 3, reason: "why", exitCode: exitCode).description
        }
        #expect(
            text(.peerLost) == "barrier failed on rank 3: why; another rank is probably gone, and its own message says "
                + "why; the same command goes on from the newest checkpoint")
        for code in [ExitCode.ranksDisagree, .internalError] { #expect(text(code) == "barrier failed on rank 3: why") }
        #expect(CollectiveError(operation: "barrier", rank: 3, reason: "why").exitCode == .peerLost)
    }
}
