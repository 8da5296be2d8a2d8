import Glibc

/// A failed operation on a file: what was tried, the system's own words, and what to do about it; or a file that is
/// there and is not what it should be.
package struct FileSystemError: ExitCoded, Equatable {
    /// What was tried. Raw values are the words of the message.
    package enum Operation: String, Sendable {
        case open, read, examine, list, lock
        case create, write, rename, remove
        case synchronize = "put on the disk"
    }

    /// What was tried.
    package let operation: Operation
    /// The file or directory.
    package internal(set) var path: FilePath
    /// The system's `errno`; 0 when the file itself is wrong.
    package let code: Int32
    /// Whether no space means no inodes.
    package let lacksInodes: Bool
    /// What is wrong with the file itself.
    private var problem = ""

    package init(_ operation: Operation, _ path: FilePath, code: Int32, lacksInodes: Bool = false) {
        self.operation = operation
        self.path = path
        self.code = code
        self.lacksInodes = lacksInodes
    }

    /// A file that is not what it should be (exit code 65).
    package init(_ path: FilePath, problem: String) {
        self.init(.read, path, code: 0)
        self.problem = problem
    }

    /// 66 for what cannot be read, 73 for what cannot be made, 74 for a failed write, a full disk among them, 65 for a
    /// wrong file.
    package var exitCode: ExitCode {
        if code == 0 { return .badInput }
        switch operation {
        case .open, .read, .examine, .list: return .missingInput
        case .create, .lock: return isOutOfSpace ? .writeFailed : .cannotCreate
        case .write, .rename, .remove, .synchronize: return .writeFailed
        }
    }

    package var description: String {
        if code == 0 { return "\(path.shown) \(problem)" }
        let words = code == ENOSPC && lacksInodes ? "No inodes left on device" : systemErrorText(code)
        return "cannot \(operation.rawValue) \(path.shown): \(words)" + (advice.map { "; \($0)" } ?? "")
    }

    /// What helps, for causes where that is known.
    private var advice: String? {
        let isReading = exitCode == .missingInput
        switch code {
        case ENOENT: return isReading ? "check the path" : "make the folder that it is to stand in, or check the path"
        case EACCES, EPERM: return "check the permissions of it and of the folders above it"
        case ENOTDIR: return "a part of the path is a file where a folder is expected; check the path"
        case EISDIR: return "that is a folder; give a file"
        case EMFILE: return "this process has as many files open as it may; raise `ulimit -n`, or give fewer files"
        case ENFILE: return "the machine has as many files open as it may; close other programs"
        case ENOSPC: return lacksInodes ? "remove some files there, whatever their size" : "free some space there"
        case EDQUOT: return "your quota there is used up; free some of it"
        case EFBIG: return "a file may not grow that large there; raise `ulimit -f`, or use another file system"
        case EROFS: return "that file system is mounted read-only; choose another place"
        case ELOOP: return "links are not followed there, or lead round in a circle"
        case ENAMETOOLONG: return "give a shorter name"
        case EIO, ESTALE: return "check the disk or the connection to the file server"
        default: return nil
        }
    }
}

extension FileSystemError {
    /// There is nothing of that name.
    package var isNotFound: Bool { code == ENOENT || code == ENOTDIR }

    /// No room: the disk, the user's quota or the limit on a file's size.
    package var isOutOfSpace: Bool { [ENOSPC, EDQUOT, EFBIG].contains(code) }

    /// The file system cannot do this at all: a kind of rename, a lock, a folder's fsync.
    package var isUnsupported: Bool {
        [EINVAL, ENOSYS, ENOTSUP, ENOTTY].contains(code) || operation == .lock && [ENOLCK, EBADF].contains(code)
    }
}

/// The system's words for an error code.
package func systemErrorText(_ code: Int32) -> String { String(cString: strerror(code)) }
