import Basics
import Checkpointing
import Glibc
import Synchronization
import TestSupport
import Testing

/// Where a model is found, by the same rule for every command; and what happens when it goes away meanwhile.
@Suite struct ModelPlaceTests {
    private let root: TemporaryDirectory
    private var run: FilePath { root.path + "run" }
    private var checkpoints: CheckpointDirectory { CheckpointDirectory(path: run + "checkpoints") }

    init() throws { root = try TemporaryDirectory() }

    private func save(_ steps: Int...) throws {
        try LocalFileSystem().makeDirectories(checkpoints.path)
        for step in steps { try checkpoints.saveSample(step: step, isWhole: true) }
    }

    private func refusal(_ path: FilePath) throws -> any ExitCoded {
        try thrown { try SavedModel(path) }
    }

    @Test("P6: a run, its checkpoints, a checkpoint, a link to each, with a slash or without") func oneRule() throws {
        try save(1, 2)
        for (name, target) in [
            ("best", "run/checkpoints/step-00000002"), ("second", "best"), ("all", "run/checkpoints"), ("r", "run"),
            ("step-00000009", "run/checkpoints/step-00000002"),
        ] { try #require(symlink(target, (root.path + name).string) == 0) }
        for name in [
            "run", "run/", "run/checkpoints", "run/checkpoints/step-00000002", "run/checkpoints/step-00000002/", "best",
            "best/", "second", "all", "r", "r//", "step-00000009",
        ] {
            let model = try SavedModel(FilePath(root.path.string + "/" + name))
            #expect(model.checkpoint?.state.step == 2, "\(name)")
            #expect(model.warnings.isEmpty)
        }
        // A copy is a model of its own, whatever it is called.
        try #require(rename((checkpoints.path + "step-00000002").string, (root.path + "copy").string) == 0)
        #expect(try SavedModel(root.path + "copy").checkpoint?.state.step == 2)
        #expect(try SavedModel(run).checkpoint?.state.step == 1)
        #expect(try refusal(root.path + "best").exitCode == .missingInput)
    }

    @Test("P6: links inside a checkpoint are not followed") func linksInside() throws {
        try save(1)
        let model = checkpoints.path + "step-00000001/model.safetensors"
        try #require(rename(model.string, (root.path + "elsewhere").string) == 0)
        try #require(symlink((root.path + "elsewhere").string, model.string) == 0)
        #expect(try refusal(checkpoints.path + "step-00000001").description.contains("symbolic link"))
    }

    @Test("W1: a run before its first checkpoint, and what is no model at all") func whatIsNone() throws {
        _ = try RunDirectory(path: run)
        let early = try refusal(run)
        #expect(early.exitCode == .missingInput && early.description.contains("no checkpoint yet"))
        #expect(try refusal(root.path + "none").exitCode == .missingInput)
        try LocalFileSystem().makeDirectory(root.path + "empty")
        let empty = try refusal(root.path + "empty")
        #expect(empty.exitCode == .badInput && empty.description.contains("no config.json"))
        try writeFile(root.path + "file", [1])
        #expect(try refusal(root.path + "file").description.contains("is a file, expected a run"))
    }

    @Test func aRunWithoutAGoodCheckpoint() throws {
        try save(1, 2)
        try writeFile(checkpoints.path + "step-00000002/config.json", [1])
        let model = try SavedModel(run)
        #expect(model.checkpoint?.state.step == 1)
        #expect(model.warnings.count == 1 && model.warnings[0].contains("step-00000002 is passed over"))
        try writeFile(checkpoints.path + "step-00000001/config.json", [1])
        #expect(try refusal(run).exitCode == .badInput)
    }

    /// The run saves step 3 and retires all others when this file is opened the n-th time.
    private func retiring(at place: Int) -> FaultyFileSystem {
        let opened = Mutex(0)
        return FaultyFileSystem(beforeReading: { [checkpoints] _ throws(FileSystemError) in
            let number = opened.withLock { count in
                defer { count += 1 }
                return count
            }
            guard number == place else { return }
            guard let saved = try? checkpoints.saveSample(step: 3, isWhole: true) else {
                preconditionFailure("cannot save")
            }
            _ = try? checkpoints.retain(1, after: saved)
        })
    }

    @Test("P5: a checkpoint that is retired while it is read is not taken for a damaged one") func retired() throws {
        try save(1, 2)
        var places = 0
        for place in 0..<20 {
            for step in [1, 2] { try checkpoints.saveSample(step: step, isWhole: true) }
            let files = retiring(at: place)
            let model = try SavedModel(run, fileSystem: files)
            let happened = try checkpoints.list().candidates.first?.step == 3
            places += happened ? 1 : 0
            // Either all of step 2 was open before it went, or the new one is found.
            #expect([2, 3].contains(model.checkpoint?.state.step), "place \(place)")
            #expect(model.warnings.isEmpty)
            var values = [Float](repeating: 0, count: 10)
            var span = values.mutableSpan
            try model.files.read("wte.weight", into: &span)
            for candidate in try checkpoints.list().candidates { TemporaryDirectory.remove(candidate.path) }
        }
        #expect(places > 5)
    }

    @Test(
        "P5: a file that cannot be read is 66, and never a checkpoint that may be skipped or left unverified",
        arguments: [EACCES, EIO, EMFILE, ENFILE],
        ["manifest.json", "trainer_state.json", "model.safetensors"])
    func unreadable(code: Int32, name: String) throws {
        try save(1, 2)
        let files = FaultyFileSystem(beforeReading: { path throws(FileSystemError) in
            if path.lastComponent?.string == name, path.string.contains("step-00000002") {
                throw FileSystemError(.open, path, code: code)
            }
        })
        for path in [run, checkpoints.path + "step-00000002"] {
            let error = try thrown { try SavedModel(path, fileSystem: files) }
            #expect(error.exitCode == .missingInput && error.description.contains(name))
            #expect(error.description.contains(systemErrorText(code)))
        }
        let directory = CheckpointDirectory(path: checkpoints.path, fileSystem: files)
        #expect(try thrown { try directory.newestVerified() }.exitCode == .missingInput)
    }

    @Test("P4: a save that does not fit makes room first, but never of the newest or below --keep")
    func makesRoom() throws {
        try save(1, 2, 3, 4, 5)
        let path = checkpoints.path
        func saveFull(_ step: Int, keep: Int, room: @escaping @Sendable () -> Int) throws -> [String] {
            let full = CheckpointDirectory(path: path, fileSystem: FaultyFileSystem(room: room))
            let saved = try full.save(step: step, files: Sample.files(step: step), keep: keep)
            #expect(try full.newestVerified().checkpoint?.state.step == step)
            return saved.warnings
        }
        // Each checkpoint that goes makes room for itself: two have to go.
        let fits = try checkpoints.list().candidates.count - 2
        let removed = try saveFull(6, keep: 2) {
            (try? CheckpointDirectory(path: path).list().candidates.count) ?? 9 <= fits ? 1 << 30 : 0
        }
        #expect(removed.count == 2 && removed[0].contains("step-00000001") && removed[1].contains("step-00000002"))
        // There never is room: what is beyond --keep goes, and no more.
        #expect(try saveFull(7, keep: 3) { 0 }.count == 2)
        #expect(try checkpoints.list().candidates.map(\.step) == [7, 6, 5])
        #expect(try saveFull(8, keep: 1) { 0 }.count == 2)
        #expect(try checkpoints.list().candidates.map(\.step) == [8, 7])
        // With room, or with no more than --keep, nothing goes.
        #expect(try saveFull(9, keep: 1) { .max }.isEmpty)
        #expect(try saveFull(10, keep: 9) { 0 }.isEmpty)
    }

    /// A sixty-fourth more than the files have is enough, but no less.
    @Test("P4: room is made where the files would not fit, and only there", arguments: [0, 1, 2, 3])
    func roomThatIsNeeded(place: Int) throws {
        try save(1, 2, 3)
        let files = try Sample.files(step: 4)
        let needed = try files.reduce(0) { try $0 + $1.size() }
        try #require(needed >= 128)
        let (room, removed) = [
            (needed - 1, 2), (needed, 2), (needed + needed / 64, 2), (needed + needed / 64 + 1, 0),
        ][place]
        let disk = CheckpointDirectory(path: checkpoints.path, fileSystem: FaultyFileSystem(room: { room }))
        #expect(try disk.save(step: 4, files: files, keep: 1).warnings.count == removed)
        #expect(try checkpoints.list().candidates.map(\.step) == (removed == 0 ? [4, 3, 2, 1] : [4, 3]))
    }

    @Test("P4: no room is made when the newest checkpoint is damaged") func makesNoRoomFromADamagedOne() throws {
        try save(1, 2, 3)
        var bytes = try readFile(checkpoints.path + "step-00000003/config.json")
        bytes[5] ^= 1
        try writeFile(checkpoints.path + "step-00000003/config.json", bytes)
        let full = CheckpointDirectory(path: checkpoints.path, fileSystem: FaultyFileSystem(room: { 0 }))
        #expect(try full.save(step: 4, files: Sample.files(step: 4), keep: 1).warnings.isEmpty)
        #expect(try checkpoints.list().candidates.count == 4)
    }
}
