import CLinux
import Glibc

/// Puts bytes into a file that has a path and lies in memory alone: no folder has it, and it goes with the process.
/// - Returns: a path by which this process can open it until it ends.
/// - Throws: exit code 70 when the system has no number for it, `FileSystemError` when it has no memory.
package func anonymousFile(_ bytes: [UInt8]) throws -> FilePath {
    let descriptor = memfd_create("swiftlet", 0)
    guard descriptor >= 0 else {
        throw ExitError(
            .internalError, "the system makes no file in memory: \(systemErrorText(errno)); give the data as a file")
    }
    let path = FilePath("/proc/self/fd/\(descriptor)")
    do {
        try OutputFile(appendingTo: path).append(bytes.span.bytes)
    } catch {
        close(descriptor)
        throw error
    }
    return path
}
