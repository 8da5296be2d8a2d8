import TestSupport
import Testing

/// Ranks that are not in the same step exchange messages of different lengths: an error, never stale numbers.
@Suite(.serialized)
struct MessageLengthTests {
    @Test(
        "M: a message of another length than expected ends the job with 76",
        arguments: ["short", "long", "too-many"])
    func anotherLengthIsAnError(kind: String) throws {
        let outcome = try Subprocess.mpirun(
            ranks: 2, executable: try BuildProducts.executable("collectives-check"), arguments: ["--length", kind],
            timeout: 60)
        #expect(outcome.status == 76, "\(outcome)")
        #expect(!outcome.standardOutput.contains("nobody noticed"))
        #expect(outcome.standardError.contains("failed on rank 1: "), "\(outcome)")
        let reasons = [
            "short": "the peer sent fewer elements than expected", "long": "mpi_err_",
            "too-many": "too many non-blocking operations are under way",
        ]
        let reason = try #require(reasons[kind])
        #expect(outcome.standardError.lowercased().contains(reason), "\(outcome)")
        // MPI's own errors have a number, the shim's have none.
        let line = outcome.standardError.split(separator: "\n").first { $0.contains("failed on rank 1: ") } ?? ""
        #expect(line.contains(/\(MPI code \d+\); another rank/) == (kind == "long"), "\(outcome)")
        #expect(line.contains("MPI code") == (kind == "long"), "\(outcome)")
    }
}
