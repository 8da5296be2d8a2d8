import Foundation

/// Where the build has put its executables.
package enum BuildProducts {
    /// The path of an executable of this package, built together with the tests that run now.
    ///
    /// - Throws: `Subprocess.Failure` when it is not there.
    package static func executable(_ name: String) throws -> String {
        let folder = try directory()
        let path = folder + "/" + name
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw Subprocess.Failure(description: "no executable \(name) in \(folder): build with --build-tests first")
        }
        return path
    }

    /// The folder of the running test bundle, which is that of the executables.
    package static func directory() throws -> String {
        // The test bundle is the running program, or an argument of the one that loads it.
        let candidates =
            [try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")].compactMap { $0 }
            + CommandLine.arguments
        for candidate in candidates where candidate.contains(".xctest") {
            var url = URL(fileURLWithPath: candidate)
            while url.path.contains(".xctest") { url.deleteLastPathComponent() }
            return url.path
        }
        throw Subprocess.Failure(
            description: "cannot tell where the test bundle is from \(candidates.prefix(3).joined(separator: " "))")
    }
}
