import Basics

/// A run's directory, made, locked and swept: `config.json`, `metrics.jsonl`, `samples.jsonl`, `starts.jsonl` and
/// `checkpoints/`.
///
/// The lock lives as long as this object, and dies with the process however that ends.
package final class RunDirectory: Sendable {
    /// The directory as it was given.
    package let path: FilePath
    /// Where the checkpoints are.
    package let checkpoints: CheckpointDirectory
    /// What an interrupted run had left behind and was removed, for the log.
    package let swept: [String]
    /// What the file system cannot do and the run goes on without, a line each.
    package let warnings: [String]
    /// The path of `metrics.jsonl`.
    package var metricsPath: FilePath { path.appending("metrics.jsonl") }
    /// The path of `samples.jsonl`.
    package var samplesPath: FilePath { path.appending("samples.jsonl") }
    /// The path of `starts.jsonl`.
    package var startsPath: FilePath { path.appending("starts.jsonl") }
    /// The path of `config.json`.
    package var configurationPath: FilePath { path.appending("config.json") }
    private let lock: DirectoryLock
    private let fileSystem: any FileSystem

    /// Makes the directory where it is missing, parents included, and takes its lock.
    ///
    /// Throws 73 when it cannot be written, so that a run fails before its first step and not at its
    /// first save, and 81 naming the holder when another run has it.
    package init(path: FilePath, fileSystem: any FileSystem = LocalFileSystem()) throws {
        self.path = path
        self.fileSystem = fileSystem
        checkpoints = CheckpointDirectory(path: path.appending("checkpoints"), fileSystem: fileSystem)
        do {
            try fileSystem.makeDirectories(path)
            lock = try DirectoryLock.take(in: path, fileSystem: fileSystem)
            try fileSystem.makeDirectories(checkpoints.path)
            // Before the probe: what a killed save left behind may be what fills the disk.
            swept = checkpoints.sweep()
            let probe = checkpoints.path.appending(CheckpointName.temporary(step: 0))
            try fileSystem.makeDirectory(probe)
            try fileSystem.removeDirectory(probe)
            let unsynchronized = try fileSystem.synchronizeDirectory(checkpoints.path).map { error in
                "the file system of \(path.shown) cannot put a folder on the disk (\(systemErrorText(error.code))): "
                    + "a power cut may lose the newest checkpoint"
            }
            warnings = [lock.warning, unsynchronized].compactMap { $0 }
        } catch let error as ExitError where error.exitCode == .inUse {
            throw ExitError(.inUse, "the run directory \(error)")
        } catch {
            // A full disk is 74 wherever a run meets it: room may be made, and another try is worth it.
            let isFull = (error as? FileSystemError)?.isOutOfSpace == true
            throw ExitError(
                isFull ? .writeFailed : .cannotCreate,
                "the run directory \(path.shown) cannot be used: \(error); or choose another --run-dir")
        }
    }

    /// Writes `config.json`, the effective configuration, whole or not at all.
    package func writeConfiguration(_ bytes: [UInt8]) throws {
        do throws(FileSystemError) {
            try fileSystem.replaceFile(configurationPath, with: bytes)
        } catch {
            throw ExitError(error.isOutOfSpace ? .writeFailed : .cannotCreate, "\(error)")
        }
    }

    /// Bytes that may still be written here, or nil when that is not known.
    package var freeBytes: Int? { try? fileSystem.freeBytes(at: path) }
}
