import Basics
import Foundation
import Kernels
import TestSupport
import Testing
import Training

/// `swiftlet --version`.
@Suite struct VersionTests {
    @Test func saysWhatItWasBuiltWith() throws {
        let outcome = try Subprocess.run(BuildProducts.executable("swiftlet"), ["--version"])
        #expect(outcome.status == 0 && outcome.standardError.isEmpty, "\(outcome)")
        let lines = outcome.standardOutput.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        // Scripts read the first line.
        #expect(lines.first.map(String.init) == swiftletVersion)
        let facts = Dictionary(uniqueKeysWithValues: lines.dropFirst().map { ($0.prefix(10), $0.dropFirst(10)) })
        #expect(
            Set(facts.keys) == ["commit    ", "Swift     ", "oneDNN    ", "MPI       ", "compiled  ", "this CPU  "])
        #expect(facts["oneDNN    "] == Substring(Compute.libraryVersion))
        #expect(try #require(facts["oneDNN    "]).wholeMatch(of: /[23]\.\d+\.\d+/) != nil)
        #expect(try #require(facts["MPI       "]).contains(/^(Open MPI|MPICH|Intel).*\d/))
        #expect(try #require(facts["Swift     "]).contains(/^6\.\d.*, .*Clang/))
        // What this machine has is what it says it has.
        let flags = try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8).split(separator: "\n")
            .first { $0.hasPrefix("flags") }?.split(separator: " ").map(String.init)
        for name in ["avx2", "fma", "avx512f", "amx_tile"]
        where facts["this CPU  "]?.hasPrefix("has none") == false {
            let says = facts["this CPU  "]?.dropFirst(4).split(separator: ", ").contains(Substring(name)) == true
            #expect(says == (try #require(flags)).contains(name), "\(name)")
        }
        let own = String(cString: compiledProcessorFeatures()).split(separator: " ")
        #expect(facts["compiled  "]?.contains("avx2") == own.contains("avx2"), "\(outcome)")
        #expect(try #require(facts["compiled  "]).contains(#/^for [a-z][a-z0-9-]*: /#))
    }
}
