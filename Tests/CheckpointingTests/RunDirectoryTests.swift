import Basics
import Checkpointing
import Glibc
import Testing

/// Made, locked, swept; and refused before the first step when it cannot be written.
@Suite struct RunDirectoryTests {
    private let root: TemporaryDirectory
    private var path: String { root.path + "/runs/a" }

    init() throws { root = try TemporaryDirectory() }

    @Test func isMadeWithItsParents() throws {
        let run = try RunDirectory.open(path: path)
        #expect(try LocalFileSystem().names(in: path) == [".lock", "checkpoints"])
        try run.writeConfiguration([1, 2])
        try run.writeConfiguration([3])
        #expect(try readFile(run.configurationPath) == [3])
        #expect(run.metricsPath == path + "/metrics.jsonl")
        #expect(run.freeBytes ?? 0 > 0)
    }

    @Test func secondRunIsToldWhoHasIt() throws {
        var first: RunDirectory? = try RunDirectory.open(path: path)
        let error = try #require(throws: CheckpointError.self) { try RunDirectory.open(path: path) }
        #expect(error.exitCode == 81)
        #expect(error.message.contains("in use by process \(getpid()) on host "))
        #expect(first?.path == path)
        first = nil
        #expect(throws: Never.self) { try RunDirectory.open(path: path) }
    }

    @Test func theLockDiesWithItsProcess() async throws {
        await #expect(processExitsWith: .exitCode(7)) { [path = path as String] in
            let run = try RunDirectory.open(path: path)
            _exit(run.path.isEmpty ? 0 : 7)
        }
        #expect(throws: Never.self) { try RunDirectory.open(path: path) }
    }

    @Test func whatCannotBeWrittenIsRefused() throws {
        try writeFile(root.path + "/file", [1])
        for place in ["/file", "/file/below"] {
            let error = try #require(throws: CheckpointError.self) { try RunDirectory.open(path: root.path + place) }
            #expect(error.exitCode == 73)
            #expect(error.message.contains(root.path + place))
        }
        let read = try #require(throws: CheckpointError.self) { try RunDirectory.open(path: "/proc/swiftlet") }
        #expect(read.exitCode == 73)
    }

    @Test func aPlantedLockIsNotFollowed() throws {
        try LocalFileSystem().makeDirectory(root.path + "/b")
        let lock = root.path + "/b/.lock"
        try #require(symlink(root.path + "/target", lock) == 0)
        #expect(
            try #require(throws: CheckpointError.self) { try RunDirectory.open(path: root.path + "/b") }.exitCode == 73)
        #expect(throws: Checkpointing.FileSystemError.self) {
            try LocalFileSystem().status(path: root.path + "/target")
        }
        try LocalFileSystem().removeFile(lock)
        try #require(mkfifo(lock, 0o644) == 0)
        #expect(
            try #require(throws: CheckpointError.self) { try RunDirectory.open(path: root.path + "/b") }.exitCode == 73)
    }

    @Test func sweepsOnlyItsOwnLeftovers() throws {
        _ = try RunDirectory.open(path: path)
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
        let run = try RunDirectory.open(path: path)
        #expect(run.swept.sorted() == ours.sorted())
        let left = try LocalFileSystem().names(in: path + "/checkpoints")
        #expect(left == (others + ["step-00000011.tmp-0123456789abcdef"]).sorted())
    }
}
