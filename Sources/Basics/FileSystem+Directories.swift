extension FileSystem {
    /// Whether there is anything at a path; links are followed.
    package func exists(_ path: FilePath) -> Bool { (try? status(path, followLinks: true)) != nil }

    /// Makes a directory and its missing parents, each put on the disk. It may be there already.
    package func makeDirectories(_ path: FilePath) throws(FileSystemError) {
        var made = FilePath(root: path.root, [])
        for component in path.components {
            let parent = made
            made.append(component)
            do throws(FileSystemError) {
                try makeDirectory(made)
                try synchronizeDirectory(parent.isEmpty ? "." : parent)
            } catch  where error.operation == .create {
                // A read-only or foreign parent refuses what is there already.
                guard let found = try? status(made, followLinks: true) else { throw error }
                guard found.kind == .directory else {
                    throw FileSystemError(made, problem: "is \(found.kind.rawValue), expected a directory")
                }
            }
        }
    }

    /// Puts a directory's entries on the disk. Some file systems of servers cannot do that and need not: the error that
    /// says so is returned, others are thrown.
    @discardableResult
    package func synchronizeDirectory(_ path: FilePath) throws(FileSystemError) -> FileSystemError? {
        let directory = try open(path, .directory)
        defer { try? close(directory) }
        do throws(FileSystemError) {
            try synchronize(directory)
            return nil
        } catch  where error.isUnsupported {
            return error
        }
    }

    /// Puts a file in place of another one, or of none, whole or not at all. A file that is there keeps its permissions,
    /// and a symbolic link to it stays one. Throws 65 where something other than a file is there.
    package func replaceFile(_ path: FilePath, with bytes: [UInt8]) throws(FileSystemError) {
        let target = try end(ofLinks: path)
        let old = try? status(target, followLinks: false)
        if let old, old.kind != .file {
            throw FileSystemError(path, problem: "is \(old.kind.rawValue), expected a file")
        }
        let temporary = target.parent.appending(".\(target.lastComponent?.string ?? "").new")
        try? removeFile(temporary)
        do throws(FileSystemError) {
            try makeFile(temporary, bytes, permissions: old?.permissions)
            try rename(temporary, to: target, .plain)
        } catch {
            try? removeFile(temporary)
            var error = error
            error.path = path
            throw error
        }
        try synchronizeDirectory(target.parent)
    }

    /// Makes a symbolic link, in place of another one or of none, in one step. Throws 65 where something else is there.
    package func replaceLink(_ path: FilePath, to target: FilePath) throws(FileSystemError) {
        if let old = try? status(path, followLinks: false), old.kind != .symbolicLink {
            throw FileSystemError(path, problem: "is \(old.kind.rawValue), expected a link")
        }
        let temporary = path.parent.appending(".\(path.lastComponent?.string ?? "").new")
        try? removeFile(temporary)
        do throws(FileSystemError) {
            try makeLink(temporary, to: target)
            try rename(temporary, to: path, .plain)
        } catch {
            try? removeFile(temporary)
            var error = error
            error.path = path
            throw error
        }
        try synchronizeDirectory(path.parent)
    }

    /// Makes a file of these bytes and puts it on the disk; leaves none where that fails.
    package func makeFile(
        _ path: FilePath, _ bytes: [UInt8], permissions: UInt32? = nil
    ) throws(FileSystemError) {
        let output = try OutputFile(creating: path, fileSystem: self)
        do throws(FileSystemError) {
            // A file system without permissions refuses, and there is nothing to keep.
            if let permissions { try? output.setPermissions(permissions) }
            try output.append(bytes.span.bytes)
            try output.synchronize()
            try output.close()
        } catch {
            try? removeFile(path)
            throw error
        }
    }

    /// Where a path leads when it is a link, or a link to a link.
    private func end(ofLinks path: FilePath) throws(FileSystemError) -> FilePath {
        var path = path
        for _ in 0..<40 {
            guard (try? status(path, followLinks: false).kind) == .symbolicLink else { break }
            path = path.parent.pushing(try target(ofLink: path))
        }
        return path
    }

    /// Opens what must be a regular file.
    func openFile(_ path: FilePath, _ access: FileAccess) throws(FileSystemError) -> (OpenFile, FileStatus) {
        let file = try open(path, access)
        do throws(FileSystemError) {
            let status = try status(file)
            guard status.kind == .file else {
                throw FileSystemError(path, problem: "is \(status.kind.rawValue), expected a file")
            }
            return (file, status)
        } catch {
            try? close(file)
            throw error
        }
    }
}

extension FilePath {
    /// The directory that a path stands in; `.` for a single name.
    package var parent: FilePath {
        let parent = removingLastComponent()
        return parent.isEmpty ? "." : parent
    }
}
