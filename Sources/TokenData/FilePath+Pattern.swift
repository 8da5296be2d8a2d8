import Basics
import Glibc

extension FilePath {
    /// The paths that a pattern such as `data/train_*.bin` means, sorted byte by byte; none where nothing matches.
    ///
    /// `*`, `?` and `[ab]` stand for bytes of a name, `\` takes their meaning away. What exists under the very name that
    /// is written is meant by it, and then nothing else: so folders with `[` or `*` in their names need no care.
    ///
    /// - Throws: exit code 66 where a folder cannot be listed.
    package func matches(fileSystem: any FileSystem = LocalFileSystem()) throws -> [FilePath] {
        func exists(_ path: FilePath) -> Bool { (try? fileSystem.status(path, followLinks: false)) != nil }
        if exists(self) { return [self] }
        var found = [FilePath(root: root, [])]
        for part in components {
            var next: [FilePath] = []
            for folder in found {
                if exists(folder.appending(part)) {
                    next.append(folder.appending(part))
                    continue
                }
                let place: FilePath = folder.isEmpty ? "." : folder
                guard Set(part.string.utf8).intersection("*?[\\".utf8).isEmpty == false,
                    (try? fileSystem.status(place, followLinks: true).kind) == .directory
                else { continue }
                next += try fileSystem.names(in: place).filter { part.matches($0) }.map { folder.appending($0) }
            }
            found = next
        }
        return found.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
    }
}

extension FilePath.Component {
    /// Whether this pattern fits a name; a leading `.` must be written.
    fileprivate func matches(_ name: FilePath.Component) -> Bool {
        withPlatformString { pattern in name.withPlatformString { fnmatch(pattern, $0, FNM_PERIOD) == 0 } }
    }
}
