import Basics
import Glibc
import Testing

/// A directory of its own for one test, removed with everything in it.
final class TemporaryDirectory {
    let path: FilePath

    init() throws {
        var template = Array("/tmp/swiftlet-basics-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = FilePath(platformString: template)
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: FilePath) {
        let files = LocalFileSystem()
        if (try? files.status(path, followLinks: false).kind) == .directory {
            for name in (try? files.names(in: path)) ?? [] { remove(path.appending(name)) }
            try? files.removeDirectory(path)
        } else {
            try? files.removeFile(path)
        }
    }

    /// Writes a file with these bytes and returns its path.
    func file(_ name: String, _ text: String = "text") throws -> FilePath {
        let path = path.appending(name)
        let output = try OutputFile(creating: path)
        try output.append(Array(text.utf8).span.bytes)
        try output.close()
        return path
    }
}
