import Basics
import CBuild
import Kernels
import MPICollectives
import Training

/// What this executable is: the lines of `--version`.
enum BuildInformation {
    /// The version alone, and a line each for what it was built with and what it runs on.
    static var text: String {
        let commit = String(cString: cbuild_commit())
        let lines = [
            swiftletVersion,
            "commit    \(commit.isEmpty ? "not known: it was not built by make" : commit)",
            "Swift     \(swift), \(String(cString: cbuild_compiler()))",
            "oneDNN    \(Compute.libraryVersion)",
            "MPI       \(MPICommunicator.libraryVersion)",
            "compiled  for \(String(cString: cbuild_cpu())): \(compiled)",
            "this CPU  has \(present)",
        ]
        return lines.joined(separator: "\n")
    }

    private static var swift: String {
        #if compiler(>=6.5)
            "6.5 or later"
        #elseif compiler(>=6.4)
            "6.4"
        #else
            "6.3"
        #endif
    }

    /// The CPU features that decide about speed, of the kernels' own and of oneDNN's, by their names in /proc/cpuinfo.
    private static let telling = [
        "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16",
    ]

    private static var compiled: String {
        let features = String(cString: compiledProcessorFeatures()).split(separator: " ")
        return list { features.contains(Substring($0)) }
    }

    private static var present: String {
        let missing = missingProcessorFeatures(of: telling.joined(separator: " "))?.split(separator: ", ") ?? []
        return list { !missing.contains(Substring($0)) }
    }

    private static func list(_ isThere: (String) -> Bool) -> String {
        let found = telling.filter(isThere)
        return found.isEmpty ? "none of \(telling.joined(separator: ", "))" : found.joined(separator: ", ")
    }
}
