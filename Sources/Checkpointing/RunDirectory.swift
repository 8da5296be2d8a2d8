import Glibc

/// A run's directory, made, locked and swept: `config.json`, `metrics.jsonl` and `checkpoints/`.
///
/// The lock lives as long as this object, and dies with the process however that ends.
public final class RunDirectory: Sendable {
    /// The directory as it was given.
    public let path: String
    /// Where the checkpoints are.
    public let checkpoints: CheckpointDirectory
    /// What an interrupted run had left behind and was removed, for the log.
    public let swept: [String]
    /// The path of `metrics.jsonl`.
    public var metricsPath: String { path + "/metrics.jsonl" }
    /// The path of `config.json`.
    public var configurationPath: String { path + "/config.json" }
    private let lock: Int32
    private let fileSystem: any FileSystem

    private init(path: String, lock: Int32, swept: [String], fileSystem: any FileSystem) {
        self.path = path
        self.lock = lock
        self.swept = swept
        self.fileSystem = fileSystem
        checkpoints = CheckpointDirectory(path: path + "/checkpoints", fileSystem: fileSystem)
    }

    deinit { try? fileSystem.close(lock) }

    /// Makes the directory where it is missing, parents included, and takes its lock.
    ///
    /// Throws `.cannotCreate` when it cannot be written, so that a run fails before its first step and not at its
    /// first save, and `.inUse` naming the holder when another run has it.
    public static func open(
        path: String, fileSystem: any FileSystem = LocalFileSystem()
    ) throws(CheckpointError) -> RunDirectory {
        let checkpoints = CheckpointDirectory(path: path + "/checkpoints", fileSystem: fileSystem)
        let lock: Int32
        do {
            try makeDirectories(path, fileSystem)
            lock = try takeLock(path, fileSystem)
        } catch let error as CheckpointError {
            throw error
        } catch {
            throw CheckpointError(
                .cannotCreate, "the run directory \(path) cannot be used: \(error); choose another --run-dir")
        }
        do {
            try makeDirectories(checkpoints.path, fileSystem)
            let probe = checkpoints.path + "/" + CheckpointName.temporary(step: 0)
            try fileSystem.makeDirectory(probe)
            try fileSystem.removeDirectory(probe)
        } catch {
            try? fileSystem.close(lock)
            throw CheckpointError(
                .cannotCreate, "the run directory \(path) cannot be written: \(error); choose another --run-dir")
        }
        return RunDirectory(path: path, lock: lock, swept: checkpoints.sweep(), fileSystem: fileSystem)
    }

    /// Writes `config.json`, the effective configuration, whole or not at all.
    public func writeConfiguration(_ bytes: [UInt8]) throws(CheckpointError) {
        do {
            try checkpoints.replaceFile(configurationPath, with: bytes)
        } catch {
            throw CheckpointError(.cannotCreate, "\(configurationPath) cannot be written: \(error)")
        }
    }

    /// Bytes that may still be written here, or nil when that is not known.
    public var freeBytes: Int? { try? fileSystem.freeBytes(at: path) }

    /// Makes a directory and its missing parents, each put on the disk.
    private static func makeDirectories(_ path: String, _ fileSystem: any FileSystem) throws {
        var made = path.hasPrefix("/") ? "/" : "."
        for component in path.split(separator: "/") {
            let parent = made
            made = made == "." ? String(component) : made == "/" ? "/\(component)" : made + "/\(component)"
            do {
                try fileSystem.makeDirectory(made)
                try CheckpointDirectory(path: parent, fileSystem: fileSystem).synchronizeDirectory(parent)
            } catch let error as FileSystemError where error.operation == "create" {
                // Whether it was there already shows when the next name below it is used.
                if error.code != EEXIST, (try? fileSystem.status(path: made)) == nil { throw error }
            }
        }
    }

    /// Opens and locks the lock file, and writes into it who holds it.
    private static func takeLock(_ path: String, _ fileSystem: any FileSystem) throws -> Int32 {
        let lockPath = path + "/.lock"
        let descriptor = try fileSystem.open(lockPath, .lockFile)
        do {
            let status = try fileSystem.status(descriptor)
            guard status.kind == .file else {
                throw CheckpointError(.cannotCreate, "\(lockPath) is \(status.kind.rawValue), expected a file")
            }
            guard try fileSystem.lock(descriptor) else {
                let holder = holder(descriptor, size: status.size, fileSystem)
                throw CheckpointError(
                    .inUse,
                    "the run directory \(path) is in use by \(holder); wait for that run, or choose another --run-dir")
            }
            try fileSystem.truncate(descriptor)
            let text = Array("process \(getpid()) on host \(hostName())\n".utf8)
            _ = try fileSystem.write(descriptor, text.span.bytes)
        } catch {
            try? fileSystem.close(descriptor)
            throw error
        }
        return descriptor
    }

    private static func holder(_ descriptor: Int32, size: Int, _ fileSystem: any FileSystem) -> String {
        var text = [UInt8](repeating: 0, count: min(max(size, 1), 200))
        var span = text.mutableSpan
        var bytes = span.mutableBytes
        let count = (try? fileSystem.read(descriptor, into: &bytes, part: 0..<bytes.byteCount, at: 0)) ?? 0
        let line = String(decoding: text.prefix(count).filter { (0x20..<0x7F).contains($0) }, as: UTF8.self)
        return line.isEmpty ? "another process" : line
    }

    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension CheckpointDirectory {
    /// Puts a file in place of another one, or of none, whole or not at all.
    func replaceFile(_ target: String, with bytes: [UInt8]) throws {
        let temporary = target + ".tmp"
        try? fileSystem.removeFile(temporary)
        do {
            let output = try OutputFile(path: temporary, fileSystem: fileSystem)
            try output.append(bytes.span.bytes)
            _ = try output.finish()
            try fileSystem.rename(temporary, to: target, .plain)
        } catch {
            try? fileSystem.removeFile(temporary)
            throw error
        }
        let parent = target.lastIndex(of: "/").map { String(target[..<$0]) } ?? "."
        try synchronizeDirectory(parent.isEmpty ? "/" : parent)
    }
}
