import Basics
import Glibc

/// A disk in memory that forgets, when its power is cut, what was not put on it by fsync. For one thread.
/// A link can be made and read, and is never followed.
///
/// A directory keeps the changes since its last fsync as a list, so that a cut can keep any first part of them; a
/// file's data since its last fsync can be kept, lost or torn.
package final class SimulatedDisk: FileSystem, @unchecked Sendable {
    /// What a power cut leaves of the changes that were not put on the disk.
    package struct Cut: Sendable {
        package enum Data: CaseIterable, Sendable { case kept, lost, torn }
        /// How much of each directory's list survives.
        package var share: Double
        package var data: Data

        package init(share: Double, data: Data) {
            self.share = share
            self.data = data
        }

        /// A choice of both.
        package static let some: [Cut] = Data.allCases.flatMap { data in
            [0, 0.3, 0.5, 0.8, 1].map { Cut(share: $0, data: data) }
        }
    }

    private final class Node {
        let kind: FileStatus.Kind
        var data: [UInt8] = []
        var durableData: [UInt8] = []
        var entries: [String: Node] = [:]
        var durableEntries: [String: Node] = [:]
        var pending: [(inout [String: Node]) -> Void] = []

        init(_ kind: FileStatus.Kind) { self.kind = kind }

        func change(_ operation: @escaping (inout [String: Node]) -> Void) {
            pending.append(operation)
            operation(&entries)
        }

        func synchronize() {
            durableData = data
            durableEntries = entries
            pending = []
        }

        func cut(_ cut: Cut) {
            entries = durableEntries
            for operation in pending.prefix(Int((Double(pending.count) * cut.share).rounded())) { operation(&entries) }
            if data != durableData {
                switch cut.data {
                case .kept: break
                case .lost: data = durableData
                case .torn:
                    // What was put behind durable data takes nothing of that with it.
                    let whole = data.starts(with: durableData) ? durableData.count : 0
                    let half = (data.count - whole) / 2
                    data = Array(data.prefix(whole + half)) + [UInt8](repeating: 0, count: half)
                }
            }
            synchronize()
            for node in entries.values { node.cut(cut) }
        }
    }

    private let root = Node(.directory)
    private var open: [Int32: Node] = [:]
    private var nextDescriptor: Int32 = 100
    /// Operations that change something are possible as long as this is above 0.
    package var operationsLeft = Int.max
    package private(set) var operations = 0
    /// The operation of this number fails, and no other.
    package var failure = Int.max
    /// Whether renames can swap, and fail when the new name is taken.
    package var hasModernRename = true

    package init() {}

    /// Cuts the power and starts again.
    package func cutPower(_ cut: Cut) {
        root.cut(cut)
        open = [:]
        operationsLeft = .max
    }

    private func fail(_ operation: FileSystemError.Operation, _ path: FilePath, _ code: Int32) -> FileSystemError {
        FileSystemError(operation, path, code: code)
    }

    private func step(_ path: FilePath) throws(FileSystemError) {
        operations += 1
        if operations == failure { throw fail(.write, path, EIO) }
        guard operationsLeft > 0 else { throw fail(.open, path, ECANCELED) }
        operationsLeft -= 1
    }

    private func node(_ path: FilePath) throws(FileSystemError) -> Node {
        var node = root
        for name in path.components {
            guard let next = node.entries[name.string] else { throw fail(.open, path, ENOENT) }
            node = next
        }
        return node
    }

    private func parent(_ path: FilePath) throws(FileSystemError) -> (Node, String) {
        guard let last = path.lastComponent else { throw fail(.open, path, EINVAL) }
        return (try node(path.removingLastComponent()), last.string)
    }

    private func node(_ file: OpenFile) throws(FileSystemError) -> Node {
        guard let node = open[file.descriptor] else { throw FileSystemError(.read, file.path, code: EBADF) }
        return node
    }

    package func open(_ path: FilePath, _ access: FileAccess) throws(FileSystemError) -> OpenFile {
        let result: Node
        if let existing = try? node(path) {
            if access == .create { throw fail(.open, path, EEXIST) }
            result = existing
        } else {
            let (parent, name) = try parent(path)
            guard access == .create || access == .lockFile || access == .append else { throw fail(.open, path, ENOENT) }
            try step(path)
            let made = Node(.file)
            parent.change { $0[name] = made }
            result = made
        }
        nextDescriptor += 1
        open[nextDescriptor] = result
        return OpenFile(nextDescriptor, path)
    }

    package func close(_ file: OpenFile) throws(FileSystemError) { open[file.descriptor] = nil }

    package func read(
        _ file: OpenFile, into bytes: inout MutableRawSpan, part: Range<Int>, at offset: Int?
    ) throws(FileSystemError) -> Int {
        let data = try node(file).data
        let count = max(0, min(part.count, data.count - (offset ?? 0)))
        for index in 0..<count {
            bytes.storeBytes(of: data[(offset ?? 0) + index], toByteOffset: part.lowerBound + index, as: UInt8.self)
        }
        return count
    }

    package func write(_ file: OpenFile, _ bytes: RawSpan, at offset: Int?) throws(FileSystemError) -> Int {
        let node = try node(file)
        try step("")
        let start = offset ?? node.data.count
        precondition(start <= node.data.count, "a file without holes")
        bytes.withUnsafeBytes { node.data.replaceSubrange(start..<min(node.data.count, start + $0.count), with: $0) }
        return bytes.byteCount
    }

    package func synchronize(_ file: OpenFile) throws(FileSystemError) {
        let node = try node(file)
        try step("")
        node.synchronize()
    }

    package func status(_ file: OpenFile) throws(FileSystemError) -> FileStatus {
        let node = try node(file)
        return FileStatus(kind: node.kind, size: node.data.count)
    }

    package func status(_ path: FilePath, followLinks: Bool) throws(FileSystemError) -> FileStatus {
        let node = try node(path)
        return FileStatus(kind: node.kind, size: node.data.count)
    }

    package func makeDirectory(_ path: FilePath) throws(FileSystemError) {
        let (parent, name) = try parent(path)
        guard parent.entries[name] == nil else { throw fail(.create, path, EEXIST) }
        try step(path)
        let made = Node(.directory)
        parent.change { $0[name] = made }
    }

    package func rename(_ from: FilePath, to: FilePath, _ mode: RenameMode) throws(FileSystemError) {
        if mode != .plain, !hasModernRename { throw fail(.rename, from, EINVAL) }
        let (parent, old) = try parent(from)
        let (_, new) = try self.parent(to)
        let moved = try node(from)
        let target = parent.entries[new]
        if mode == .noReplace, target != nil { throw fail(.rename, from, EEXIST) }
        if mode == .plain, target?.kind == .directory, target?.entries.isEmpty == false {
            throw fail(.rename, from, ENOTEMPTY)
        }
        try step(from)
        parent.change {
            $0[old] = mode == .exchange ? target : nil
            $0[new] = moved
        }
    }

    package func removeFile(_ path: FilePath) throws(FileSystemError) {
        let (parent, name) = try parent(path)
        guard try node(path).kind != .directory else { throw fail(.remove, path, EISDIR) }
        try step(path)
        parent.change { $0[name] = nil }
    }

    package func removeDirectory(_ path: FilePath) throws(FileSystemError) {
        let (parent, name) = try parent(path)
        guard try node(path).entries.isEmpty else { throw fail(.remove, path, ENOTEMPTY) }
        try step(path)
        parent.change { $0[name] = nil }
    }

    package func names(in directory: FilePath) throws(FileSystemError) -> [FilePath.Component] {
        try node(directory).entries.keys.sorted().compactMap { FilePath.Component($0) }
    }

    package func freeBytes(at path: FilePath) throws(FileSystemError) -> Int { 1 << 30 }

    package func lock(_ file: OpenFile) throws(FileSystemError) -> Bool { true }

    package func truncate(_ file: OpenFile, to size: Int) throws(FileSystemError) {
        let node = try node(file)
        node.data = Array(node.data.prefix(size))
    }

    package func setPermissions(_ file: OpenFile, _ permissions: UInt32) throws(FileSystemError) {}

    package func target(ofLink path: FilePath) throws(FileSystemError) -> FilePath {
        let node = try node(path)
        guard node.kind == .symbolicLink else { throw fail(.examine, path, EINVAL) }
        return FilePath(String(decoding: node.data, as: UTF8.self))
    }

    package func makeLink(_ path: FilePath, to target: FilePath) throws(FileSystemError) {
        let (parent, name) = try parent(path)
        guard parent.entries[name] == nil else { throw fail(.create, path, EEXIST) }
        try step(path)
        // A link's text goes to the disk with its name.
        let made = Node(.symbolicLink)
        made.data = Array(target.string.utf8)
        made.synchronize()
        parent.change { $0[name] = made }
    }
}
