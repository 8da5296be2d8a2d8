import CLinux
import Glibc

/// Puts bytes into a file that has a path and lies in memory alone: no folder has it, and it goes with the process.
/// - Returns: a path by which this process can open it until it ends.
/// - Throws: exit code 70 when the system has no memory or no number for it.
package func anonymousFile(_ bytes: [UInt8]) throws(ExitError) -> FilePath {
    let descriptor = memfd_create("swiftlet", 0)
    guard descriptor >= 0 else { throw failure }
    var done = 0
    while done < bytes.count {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done) }
        guard count > 0 || errno == EINTR else {
            close(descriptor)
            throw failure
        }
        done += max(0, count)
    }
    return FilePath("/proc/self/fd/\(descriptor)")
}

private var failure: ExitError {
    ExitError(.internalError, "the system makes no file in memory: \(systemErrorText(errno)); give the data as a file")
}
