import Basics
import Checkpointing
import Glibc
import TestSupport
import Testing

/// Made, locked, swept; and refused before the first step when it cannot be written.
@Suite struct RunDirectoryTests {
    private let root: TemporaryDirectory
    private var path: FilePath { root.path + "/runs/a" }

    init() throws { root = try TemporaryDirectory() }

    @Test func isMadeWithItsParents() throws {
        let run = try RunDirectory(path: path)
        #expect(try fileNames(in: path) == [".lock", "checkpoints"])
        try run.writeConfiguration([1, 2])
        try run.writeConfiguration([3])
        #expect(try readFile(run.configurationPath) == [3])
        #expect(run.metricsPath == path + "/metrics.jsonl")
        #expect(run.freeBytes ?? 0 > 0)
    }

    @Test func secondRunIsToldWhoHasIt() throws {
        var first: RunDirectory? = try RunDirectory(path: path)
        let error = try thrown { try RunDirectory(path: path) }
        #expect(error.exitCode == 81)
        #expect(error.description.contains("in use by process \(getpid()) on host "))
        #expect(first?.path == path)
        first = nil
        #expect(throws: Never.self) { try RunDirectory(path: path) }
    }

    @Test func theLockDiesWithItsProcess() async throws {
        await #expect(processExitsWith: .exitCode(7)) { [path = path as FilePath] in
            let run = try RunDirectory(path: path)
            _exit(run.path.isEmpty ? 0 : 7)
        }
        #expect(throws: Never.self) { try RunDirectory(path: path) }
    }

    @Test func whatCannotBeWrittenIsRefused() throws {
        try writeFile(root.path + "/file", [1])
        for place in ["/file", "/file/below"] {
            let error = try thrown { try RunDirectory(path: root.path + place) }
            #expect(error.exitCode == 73)
            #expect(error.description.contains((root.path + place).shown))
        }
        let read = try thrown { try RunDirectory(path: "/proc/swiftlet") }
        #expect(read.exitCode == 73)
    }

    @Test func aPlantedLockIsNotFollowed() throws {
        try LocalFileSystem().makeDirectory(root.path + "/b")
        let lock = root.path + "/b/.lock"
        try #require(symlink((root.path + "/target").string, lock.string) == 0)
        #expect(
            try thrown { try RunDirectory(path: root.path + "/b") }.exitCode == 73)
        #expect(throws: FileSystemError.self) {
            try LocalFileSystem().status(root.path + "/target", followLinks: false)
        }
        try LocalFileSystem().removeFile(lock)
        try #require(mkfifo(lock.string, 0o644) == 0)
        #expect(
            try thrown { try RunDirectory(path: root.path + "/b") }.exitCode == 73)
    }

    @Test func sweepsOnlyItsOwnLeftovers() throws {
        _ = try RunDirectory(path: path)
        let checkpoints = path + "/checkpoints/"
        let ours = ["step-00000010.tmp-0123456789abcdef", ".trash-step-00000004-0123456789abcdef"]
        let others = [
            "step-00000010.tmp-", "step-00000010.tmp-0123456789ABCDEF", "step-x.tmp-0123456789abcdef", "notes",
            ".trash-mine", "step-00000010.tmp-0123456789abcdef.old", ".trash-step-00000004-0123456789abcde",
        ]
        for name in ours + others {
            try LocalFileSystem().makeDirectory(checkpoints + name)
            try writeFile(checkpoints + name + "/model.safetensors", [1])
        }
        try LocalFileSystem().makeDirectory(checkpoints + "step-00000011.tmp-0123456789abcdef")
        try LocalFileSystem().makeDirectory(checkpoints + "step-00000011.tmp-0123456789abcdef/inside")
        let run = try RunDirectory(path: path)
        #expect(run.swept.sorted() == ours.sorted())
        let left = try fileNames(in: path + "/checkpoints")
        #expect(left == (others + ["step-00000011.tmp-0123456789abcdef"]).sorted())
    }

    @Test(
        "P1: a lock or a folder's fsync that the file system refuses is one warning that names the cause",
        arguments: [ENOSYS, EOPNOTSUPP, EINVAL])
    func whatTheFileSystemCannotDo(code: Int32) throws {
        let files = FaultyFileSystem(unsupported: code)
        let run = try RunDirectory(path: path, fileSystem: files)
        #expect(run.warnings.count == 2)
        #expect(run.warnings.allSatisfy { $0.contains(systemErrorText(code)) && $0.contains(path.shown) })
        for step in [1, 2] { #expect(try run.checkpoints.saveSample(step: step).warnings.isEmpty) }
        #expect(try run.checkpoints.newestVerified().checkpoint?.state.step == 2)
        try run.writeConfiguration([1])
    }

    @Test("P1: ENOLCK is no lock, and no error") func noLocks() throws {
        #expect(try RunDirectory(path: path, fileSystem: FaultyFileSystem(unsupported: ENOLCK)).warnings.count == 1)
    }

    @Test("P1: an I/O error is one") func realErrors() throws {
        let error = try thrown {
            try RunDirectory(path: path, fileSystem: FaultyFileSystem(unsupported: EIO))
        }
        #expect(error.exitCode == .cannotCreate && error.description.contains(systemErrorText(EIO)))
    }

    @Test("P4: a start on a full disk is 74, as a failed save is") func fullDisk() throws {
        let count = FaultyFileSystem()
        try RunDirectory(path: path, fileSystem: count).writeConfiguration([1])
        var codes: Set<ExitCode> = []
        for place in 0..<count.count {
            do {
                let files = FaultyFileSystem(.error(ENOSPC), at: place)
                try RunDirectory(path: path, fileSystem: files).writeConfiguration([1])
            } catch {
                codes.insert(exitCode(of: error))
            }
        }
        #expect(codes == [.writeFailed])
    }

    @Test("P4: what a killed save left behind goes before the room is tried") func sweepsFirst() throws {
        _ = try RunDirectory(path: path)
        let leftover = path + "checkpoints/step-00000010.tmp-0123456789abcdef"
        try LocalFileSystem().makeDirectory(leftover)
        let count = FaultyFileSystem()
        _ = try RunDirectory(path: path, fileSystem: count)
        // Every operation fails once: the leftover is gone all the same, unless its own removal failed.
        for place in 0..<count.count {
            try? LocalFileSystem().makeDirectory(leftover)
            _ = try? RunDirectory(path: path, fileSystem: FaultyFileSystem(.error(ENOSPC), at: place))
            _ = try RunDirectory(path: path)
            #expect(!LocalFileSystem().exists(leftover))
        }
        try LocalFileSystem().makeDirectory(leftover)
        let last = count.count - 3
        _ = try? RunDirectory(path: path, fileSystem: FaultyFileSystem(.dead, at: last))
        #expect(!LocalFileSystem().exists(leftover))
    }
}
