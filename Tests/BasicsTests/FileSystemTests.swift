import Basics
import Glibc
import Testing

/// The one seam to the file system: what it makes, what it refuses, and in which words.
@Suite struct FileSystemTests {
    private let files = LocalFileSystem()
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func contents(_ path: FilePath) throws -> String {
        String(decoding: try InputFile(path).contents(limit: 1 << 20), as: UTF8.self)
    }

    private func error(_ body: () throws -> Void) throws -> FileSystemError {
        try #require(throws: FileSystemError.self, performing: body)
    }

    @Test("H4: a pipe, a device or a directory given for a file is refused at once") func onlyFiles() throws {
        let pipe = directory.path.appending("pipe")
        try #require(mkfifo(pipe.string, 0o600) == 0)
        for (path, word) in [(pipe, "pipe"), ("/dev/zero", "device"), (directory.path, "directory")] {
            let found = try error { _ = try InputFile(path) }
            #expect(found.exitCode == .badInput && found.description.contains(word))
            #expect(found.description.contains("expected a file"))
            if word != "directory" {
                #expect(try error { _ = try OutputFile(appendingTo: path) }.exitCode == .badInput || word == "pipe")
                #expect(try error { try files.replaceFile(path, with: []) }.exitCode == .badInput)
                #expect(try files.status(path, followLinks: false).kind != .file)
            }
        }
    }

    @Test(
        "W1: the words fit the cause",
        arguments: [
            (EMFILE, "ulimit -n"), (ENFILE, "machine"), (EACCES, "permissions"), (EPERM, "permissions"),
            (ENOENT, "check the path"), (EISDIR, "give a file"), (ENOTDIR, "folder is expected"), (ENOSPC, "space"),
            (EDQUOT, "quota"), (EFBIG, "ulimit -f"), (EROFS, "read-only"), (ELOOP, "links"), (ENAMETOOLONG, "shorter"),
            (EIO, "disk"),
        ])
    func words(code: Int32, word: String) {
        for operation in [FileSystemError.Operation.open, .create, .write] {
            let error = FileSystemError(operation, "a", code: code)
            #expect(error.description.contains(systemErrorText(code)) && error.description.contains(word))
            #expect(!error.description.contains("file that exists"))
            #expect(!error.description.contains("\n"))
        }
        #expect(FileSystemError(.open, "a", code: code).exitCode == .missingInput)
        // P4: a full disk is 74 also where something is to be made.
        let isFull = [ENOSPC, EDQUOT, EFBIG].contains(code)
        #expect(FileSystemError(.create, "a", code: code).exitCode == (isFull ? .writeFailed : .cannotCreate))
        #expect(FileSystemError(.write, "a", code: code).exitCode == .writeFailed)
    }

    /// A program that is started, mpirun's daemons and the like, must hold none of them open.
    @Test func filesAreForThisProcessAlone() throws {
        let path = try directory.file("a")
        for access in [FileAccess.read(followLinks: true), .stream, .append, .lockFile] {
            let file = try files.open(path, access)
            #expect(fcntl(file.descriptor, F_GETFD) & FD_CLOEXEC != 0, "\(access)")
            try files.close(file)
        }
    }

    @Test("W1: no inodes is not no space") func inodes() {
        let error = FileSystemError(.create, "a", code: ENOSPC, lacksInodes: true)
        #expect(error.description.contains("inodes") && !error.description.contains("space"))
        #expect(error.isOutOfSpace)
    }

    @Test("W1: the causes as the system gives them") func realCauses() throws {
        let name = directory.path.appending("missing")
        #expect(try error { _ = try InputFile(name) }.description.contains("No such file"))
        let file = try directory.file("a")
        #expect(try error { _ = try InputFile(file.appending("b")) }.description.contains("folder is expected"))
        #expect(try error { _ = try OutputFile(creating: name.appending("b")) }.exitCode == .cannotCreate)
        #expect(try error { _ = try files.names(in: name) }.exitCode == .missingInput)
        let full = try error { _ = try write(to: "/dev/full") }
        #expect(full.code == ENOSPC && full.exitCode == .writeFailed)
        #expect(!full.lacksInodes && full.description.contains("space"), "\(full)")
        let long = directory.path.appending(String(repeating: "n", count: 300))
        #expect(try error { _ = try OutputFile(creating: long) }.description.contains("shorter"))
    }

    private func write(to path: FilePath) throws -> Int {
        let descriptor = try files.open(path, .lockFile)
        defer { try? files.close(descriptor) }
        return try files.write(descriptor, [1].span.bytes, at: nil)
    }

    @Test("P2: files are 0666 and directories 0777 under the umask") func modes() throws {
        let old = umask(0o002)
        defer { umask(old) }
        try files.makeDirectories(directory.path.appending("a/b"))
        _ = try directory.file("f")
        _ = try OutputFile(appendingTo: directory.path.appending("g"))
        _ = try DirectoryLock.take(in: directory.path)
        try files.replaceFile(directory.path.appending("h"), with: [])
        for (name, mode) in [("a", 0o775), ("a/b", 0o775), ("f", 0o664), ("g", 0o664), (".lock", 0o664), ("h", 0o664)] {
            #expect(try files.status(directory.path.appending(name), followLinks: false).permissions == UInt32(mode))
        }
    }

    @Test("P2: a replaced file keeps its mode and its link") func replacing() throws {
        let file = try directory.file("real")
        try #require(chmod(file.string, 0o640) == 0)
        try files.makeDirectories(directory.path.appending("d"))
        let link = directory.path.appending("d/link")
        let second = directory.path.appending("second")
        try #require(symlink("../real", link.string) == 0 && symlink("d/link", second.string) == 0)
        try files.replaceFile(second, with: Array("new".utf8))
        #expect(try contents(file) == "new" && contents(second) == "new")
        #expect(try files.status(file, followLinks: false).permissions == 0o640)
        #expect(try files.status(link, followLinks: false).kind == .symbolicLink)
        #expect(try files.status(second, followLinks: false).kind == .symbolicLink)
        // A link that leads to nothing yet makes what it names.
        let dangling = directory.path.appending("dangling")
        try #require(symlink("later", dangling.string) == 0)
        try files.replaceFile(dangling, with: Array("x".utf8))
        #expect(try contents(directory.path.appending("later")) == "x")
        #expect(try files.names(in: directory.path).map(\.string) == ["d", "dangling", "later", "real", "second"])
    }

    @Test func readsByPosition() throws {
        let file = try InputFile(directory.file("f", "0123456789"))
        #expect(try file.bytes(3, at: 4) == Array("456".utf8))
        #expect(try file.availableBytes(8, at: 4) == Array("456789".utf8))
        #expect(try file.availableBytes(8, at: 10) == [])
        #expect(try error { _ = try file.bytes(8, at: 4) }.description.contains("ends at byte 10"))
        #expect(try error { _ = try file.contents(limit: 9) }.exitCode == .badInput)
        let link = directory.path.appending("link")
        try #require(symlink("f", link.string) == 0)
        #expect(try InputFile(link).status.identity == file.status.identity)
        #expect(
            try error { _ = try InputFile(link, followLinks: false) }.description.contains("links are not followed"))
    }

    @Test func writesAndReadsBackWithoutAName() throws {
        let path = directory.path.appending("spool")
        let output = try OutputFile(creating: path)
        try files.removeFile(path)
        try output.append(([1, 2, 3] as [UInt8]).span.bytes)
        try output.write(([9] as [UInt8]).span.bytes, at: 1)
        try output.append(([4] as [UInt8]).span.bytes)
        #expect(output.size == 4)
        #expect(try output.reading().bytes(4, at: 0) == [1, 9, 3, 4])
        #expect(try error { _ = try OutputFile(creating: directory.file("a")) }.code == EEXIST)
    }

    @Test func readsAPipeToItsEnd() throws {
        let path = directory.path.appending("pipe")
        try #require(mkfifo(path.string, 0o600) == 0)
        let holder = open(path.string, O_RDWR)
        try #require(Glibc.write(holder, "abc", 3) == 3)
        let pipe = try InputPipe(path)
        #expect(try pipe.next(2) == Array("ab".utf8))
        #expect(try pipe.next(9) == Array("c".utf8))
        close(holder)
        #expect(try pipe.next(9) == [])
    }

    @Test func namesAreBytesInOrder() throws {
        for name in ["b", "a", "é", ".hidden"] { _ = try directory.file(name) }
        let odd = directory.path.string + "/\u{1}"
        close(open(odd, O_CREAT | O_WRONLY, 0o600))
        let bad = directory.path.pushing(FilePath(platformString: [CChar(bitPattern: 0xE9), 0]))
        try OutputFile(creating: bad).close()
        let names = try files.names(in: directory.path)
        #expect(
            names.map { FilePath(root: nil, [$0]).bytes } == [
                [1], Array(".hidden".utf8), [0x61], [0x62], [0xC3, 0xA9], [0xE9],
            ])
        #expect(try files.status(directory.path.appending(names[5]), followLinks: false).kind == .file)
    }

    @Test func theLockIsOneProcess() throws {
        // What an earlier process with a longer name has left.
        let file = try directory.file(".lock", String(repeating: "x", count: 200))
        var lock: DirectoryLock? = try .take(in: directory.path)
        #expect(lock?.warning == nil)
        let text = try contents(file)
        #expect(text.wholeMatch(of: /process \d+ on host \S+\n/) != nil, "\(text)")
        let error = try #require(throws: ExitError.self) { try DirectoryLock.take(in: directory.path) }
        #expect(error.exitCode == .inUse && error.description.contains("process \(getpid()) on host"))
        try #require(truncate(file.string, 0) == 0)
        let nameless = try #require(throws: ExitError.self) { try DirectoryLock.take(in: directory.path) }
        #expect(nameless.description.contains(" is in use by another process; wait for it to end"))
        lock = nil
        lock = try .take(in: directory.path)
        #expect(lock != nil)
    }

    @Test func aDirectoryMustBeOne() throws {
        let file = try directory.file("f")
        #expect(try error { try files.makeDirectories(file) }.description.contains("expected a directory"))
        try files.makeDirectories(directory.path)
        try files.makeDirectories("/")
        try files.makeDirectories(".")
    }
}
