import TestSupport
import Testing

/// What of mpirun's standard error reaches the user.
@Suite struct RemarksTests {
    private static let rule = String(repeating: "-", count: 74)

    private static func remark(_ lines: String...) -> String { ([rule] + lines + [rule, ""]).joined(separator: "\n") }

    private static let primary = remark(
        "Primary job  terminated normally, but 1 process returned",
        "a non-zero exit code. Per user-direction, the job has been aborted.")
    private static func status(_ code: Int) -> String {
        remark(
            "mpirun detected that one or more processes exited with non-zero status, thus causing",
            "the job to be terminated. The first process to do so was:", "", "  Process name: [[7387,1],0]",
            "  Exit code:    \(code)")
    }

    /// What comes through when mpirun says this on standard error, without the script's own lines.
    private func heard(_ text: String, then: String = "exit 0") throws -> String {
        try heard([text], then: then)
    }

    /// The same for a text that comes in pieces, with more time between them than the script waits for one.
    private func heard(_ pieces: [String], then: String = "exit 0") throws -> String {
        let tree = try LaunchTree(
            mpirun: "cat \"$record/words-0\" >&2; for ((i = 1; i < \(pieces.count); i++)); do sleep 0.7; "
                + "cat \"$record/words-$i\" >&2; done; \(then)")
        for (number, piece) in pieces.enumerated() { try tree.write("record/words-\(number)", piece) }
        let outcome = try tree.run("local", ["-n", "1", "-t", "1", "train"])
        return outcome.standardError.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.hasPrefix("launch: ") }.joined(separator: "\n")
    }

    @Test("L7: a stop that saved is not told as a crash") func theRemarksOfAStop() throws {
        #expect(
            try heard(
                "swiftlet: warning: a\nmpirun: Forwarding signal 10 to job\n" + Self.primary + Self.status(75) + "b\n")
                == "swiftlet: warning: a\nb\n")
        #expect(
            try heard(
                Self.primary
                    + Self.remark("mpirun noticed that process rank 1 with PID 0 on node vm exited on signal 10 (User"))
                == "")
        for code in 64...81 { #expect(try heard(Self.status(code)) == "") }
    }

    @Test("A line that comes in pieces is judged as a whole") func remarksInPieces() throws {
        // Cut in the rule at its start and in the one at its end.
        let remark = "a\n" + Self.primary + "b\n"
        let pieces = [remark.prefix(30), remark.dropFirst(30).dropLast(30), remark.suffix(30)].map(String.init)
        #expect(try heard(pieces) == "a\nb\n")
        #expect(
            try heard(["a\nmpi", "run: Forwarding sig", "nal 10", " to job\nb\n"]) == "a\nb\n")
        #expect(try heard(["mpi", "run: other\n-", "-- c\n"]) == "mpirun: other\n--- c\n")
    }

    @Test(
        "L7: mpirun's own errors come through",
        arguments: [
            status(1), status(63), status(82), status(139), status(750),
            remark("mpirun noticed that process rank 1 with PID 0 on node vm exited on signal 9 (Killed)."),
            remark("ORTE has lost communication with a remote daemon.", "", "  HNP daemon   : [[1,0],0] on node a"),
            remark("There are not enough slots available in the system to satisfy the 9", "slots"),
            "ssh: Could not resolve hostname nosuchhost: Name or service not known\n", rule + "\n",
            remark("MPI_ABORT was invoked on rank 0 in communicator MPI_COMM_WORLD", "with errorcode 65.", ""),
        ])
    func otherRemarks(text: String) throws {
        #expect(try heard(text) == text)
        #expect(try heard("before\n" + Self.primary + text + "after") == "before\n" + text + "after")
    }

    @Test func bytesComeThroughAsTheyAre() throws {
        let odd = "  leading, trailing  \n\\n %s \t\u{1B}[1mbold\u{1B}[0m é\r50 %\r\n\nno end"
        #expect(try heard(odd) == odd)
    }

    @Test func aLineWithoutAnEndIsSeenAtOnce() throws {
        let tree = try LaunchTree(
            mpirun: "printf 'half a ' >&2; until [[ -e $record/go ]]; do sleep 0.02; done; echo line >&2; exit 75")
        let run = try tree.start("local", ["-n", "1", "-t", "1", "train"])
        #expect(waitUntil { run.standardErrorSoFar.hasSuffix("half a ") })
        try tree.write("record/go", "")
        #expect(run.wait().standardError.contains("half a line\n"))
    }

    @Test func theScriptsOwnWordIsTheLast() throws {
        let tree = try LaunchTree(mpirun: "for i in {1..200}; do echo line $i >&2; done; exit 75")
        let lines = try tree.run("local", ["-n", "1", "-t", "1", "train"]).standardError.split(separator: "\n")
        #expect(lines.last?.hasPrefix("launch: stopped on request") == true)
        #expect(lines.dropLast().last == "line 200")
    }

    @Test func whatHoldsThePipeOpenHoldsNobodyUp() throws {
        let tree = try LaunchTree(mpirun: "sleep 100 & echo $! >\"$record/left\"; exit 75")
        #expect(try tree.run("local", ["-n", "1", "-t", "1", "train"]).status == 75)
        #expect(try tree.bash("kill $(cat ../record/left)").status == 0)
    }
}
