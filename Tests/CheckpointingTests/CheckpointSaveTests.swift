import Basics
import Checkpointing
import Glibc
import TestSupport
import Testing

/// A save under every fault: what was acknowledged stays, and nothing half-written is ever taken for a checkpoint.
@Suite struct CheckpointSaveTests {
    private let root: TemporaryDirectory
    private var path: FilePath { root.path }

    init() throws { root = try TemporaryDirectory() }

    private func operations(of work: (CheckpointDirectory) throws -> Void) throws -> Int {
        let directory = try TemporaryDirectory()
        let files = FaultyFileSystem()
        try CheckpointDirectory(path: directory.path).saveSample(step: 1)
        try work(CheckpointDirectory(path: directory.path, fileSystem: files))
        return files.count
    }

    @Test func savesWhatVerifies() throws {
        let directory = CheckpointDirectory(path: path, fileSystem: FaultyFileSystem(longestWrite: 7))
        let saved = try directory.saveSample(step: 100)
        #expect(saved.name == "step-00000100")
        #expect(saved.warnings.isEmpty)
        let checkpoint = try Checkpoint(verifying: saved.path)
        #expect(checkpoint.state == (try Sample.state(step: 100)))
        #expect(checkpoint.manifest == saved.manifest)
        let weight = try #require(checkpoint.model.tensor("transformer.wte.weight"))
        #expect(try checkpoint.model.floats(weight) == [Float](repeating: 100, count: 10))
        #expect(try checkpoint.contents(of: "tokenizer.json") == Array("{}".utf8))
        #expect(try checkpoint.contents(of: "other.json") == nil)
        #expect(try fileNames(in: path) == ["step-00000100"])
    }

    @Test(arguments: [ENOSPC, EIO, EDQUOT])
    func anErrorAtAnyOperationChangesNothing(code: Int32) throws {
        let count = try operations { try $0.saveSample(step: 2) }
        #expect(count > 20)
        for place in 0..<count {
            let root = try TemporaryDirectory()
            try CheckpointDirectory(path: root.path).saveSample(step: 1)
            let faulty = CheckpointDirectory(path: root.path, fileSystem: FaultyFileSystem(.error(code), at: place))
            do {
                _ = try faulty.saveSample(step: 2)
                Issue.record("operation \(place) failed and nobody noticed")
            } catch let error as ExitError {
                #expect(error.exitCode == 74)
                let newest = try #require(try CheckpointDirectory(path: root.path).newestVerified().checkpoint)
                if error.description.contains("is in place") {
                    #expect(newest.state.step == 2)
                } else {
                    #expect(error.exitCode == .writeFailed)
                    #expect(error.description.hasPrefix("checkpoint step-00000002 not saved: "))
                    #expect(error.description.hasSuffix("step-00000001 is kept"))
                    #expect(error.description.contains("(need ") == (code != EIO))
                    #expect(error.description.contains(", free ") == (code == ENOSPC))
                    #expect(newest.state.step == 1)
                    #expect(try fileNames(in: root.path) == ["step-00000001"])
                }
            }
        }
    }

    @Test func aFailedSyncOfTheParentIsUncertain() throws {
        let count = try operations { try $0.saveSample(step: 2) }
        let faulty = CheckpointDirectory(path: path, fileSystem: FaultyFileSystem(.error(EIO), at: count - 1))
        try CheckpointDirectory(path: path).saveSample(step: 1)
        let error = try thrown { try faulty.saveSample(step: 2) }
        #expect(error.description.contains("is in place"))
    }

    @Test func deathAtAnyOperationOfSavingAndRetiring() throws {
        let work: (CheckpointDirectory) throws -> Bool = { directory in
            let saved = try directory.saveSample(step: 2)
            _ = try directory.retain(1, after: saved)
            return true
        }
        let count = try operations { _ = try work($0) }
        for place in 0...count {
            let root = try TemporaryDirectory()
            let path = root.path + "/checkpoints"
            try LocalFileSystem().makeDirectory(path)
            try CheckpointDirectory(path: path).saveSample(step: 1)
            let files = FaultyFileSystem(.dead, at: place)
            let saved = try? CheckpointDirectory(path: path, fileSystem: files).saveSample(step: 2)
            if let saved { _ = try? CheckpointDirectory(path: path, fileSystem: files).retain(1, after: saved) }
            let (newest, warnings) = try CheckpointDirectory(path: path).newestVerified()
            #expect(warnings.isEmpty)
            #expect(try #require(newest).state.step >= (saved == nil ? 1 : 2), "operation \(place)")
            // The next run sweeps what is left, and nothing else.
            _ = try RunDirectory(path: root.path)
            #expect(try fileNames(in: path).allSatisfy { $0.utf8.count == 13 })
        }
    }

    /// The process really ends, at every third operation; the lock dies with it.
    @Test(arguments: Array(stride(from: 0, to: 60, by: 3)))
    func theProcessEndsInTheMiddle(place: Int) async throws {
        let path = self.path
        do {
            let run = try RunDirectory(path: path)
            try run.checkpoints.saveSample(step: 1)
        }
        await #expect(processExitsWith: .exitCode(9)) { [path = path as FilePath, place = place as Int] in
            let files = FaultyFileSystem(.exit(9), at: place)
            let run = try RunDirectory(path: path, fileSystem: files)
            let saved = try run.checkpoints.saveSample(step: 2)
            _ = try run.checkpoints.retain(1, after: saved)
            _exit(9)
        }
        let run = try RunDirectory(path: path)
        #expect(try run.checkpoints.newestVerified().checkpoint != nil)
        #expect(try fileNames(in: path + "/checkpoints").allSatisfy { $0.utf8.count == 13 })
    }

    @Test func sameStepAgain() throws {
        let directory = CheckpointDirectory(path: path)
        let first = try directory.saveSample(step: 3)
        #expect(try directory.saveSample(step: 3) == first)  // the same bytes: kept
        let other = try directory.saveSample(step: 3, value: 8)  // other bytes: swapped
        #expect(try Checkpoint(verifying: other.path).manifest == other.manifest)
        #expect(other.manifest != first.manifest)
        try writeFile(other.path + "/model.safetensors", [1, 2, 3])  // damaged: replaced
        try directory.saveSample(step: 3)
        #expect(try Checkpoint(verifying: first.path).manifest == first.manifest)
        #expect(try fileNames(in: path) == ["step-00000003"])
    }

    @Test func retentionKeepsCompleteOnes() throws {
        let directory = CheckpointDirectory(path: path)
        for step in 1...5 { try directory.saveSample(step: step) }
        try LocalFileSystem().removeFile(path + "/step-00000004/config.json")  // no longer complete
        try LocalFileSystem().makeDirectory(path + "/step-7-notes")
        let saved = try directory.saveSample(step: 6)
        try directory.saveSample(step: 9)  // of another course of the run
        #expect(try directory.retain(2, after: saved).removed == ["step-00000003", "step-00000002", "step-00000001"])
        #expect(
            try fileNames(in: path) == [
                "step-00000004", "step-00000005", "step-00000006", "step-00000009", "step-7-notes",
            ])
        #expect(try thrown { try directory.retain(0, after: saved) }.exitCode == 64)
    }

    /// Each that was to go is gone or has a line, and none of them is a checkpoint any more in part.
    @Test func anErrorAtAnyOperationOfRetaining() throws {
        var warned = 0
        for place in 0...16 {
            let root = try TemporaryDirectory()
            let directory = CheckpointDirectory(path: root.path)
            for step in [1, 2] { try directory.saveSample(step: step) }
            let saved = try directory.saveSample(step: 3)
            let faulty = CheckpointDirectory(path: root.path, fileSystem: FaultyFileSystem(.error(EIO), at: place))
            let (removed, warnings) = try faulty.retain(1, after: saved)
            #expect(removed.count + warnings.count == 2)
            #expect(warnings.allSatisfy { $0.contains("could not be removed") }, "\(warnings)")
            #expect(try fileNames(in: root.path).count == 1 + warnings.count)
            for candidate in try directory.list().candidates { _ = try Checkpoint(verifying: candidate.path) }
            warned += warnings.count
        }
        // A rename, the six files and the folder of each of the two.
        #expect(warned == 16)
    }

    /// The numbers of a full disk: the bytes of all files, and the room where it is bytes that are missing.
    @Test(arguments: [(ENOSPC, false), (ENOSPC, true), (EDQUOT, false), (EFBIG, false)])
    func whatIsNeededAndFree(code: Int32, lacksInodes: Bool) throws {
        let file = path + "model"
        let tensor = TensorSource(name: "a", shape: [250]) { _ in
            throw FileSystemError(.write, file, code: code, lacksInodes: lacksInodes)
        }
        let files = [
            CheckpointFile(name: "notes", content: .bytes([1, 2, 3])),
            CheckpointFile(name: "model.safetensors", content: .tensors([tensor])),
        ]
        let need = try 3 + SafetensorsWriter.fileSize([tensor])
        #expect(try need > 1003 && files.reduce(0) { try $0 + $1.size() } == need)
        let full = CheckpointDirectory(path: path, fileSystem: FaultyFileSystem(room: { 4321 }))
        let error = try thrown { try full.save(step: 1, files: files) }
        let hasRoom = code == ENOSPC && !lacksInodes
        #expect(error.description.contains("(need \(need) bytes\(hasRoom ? ", free 4321" : ""));"), "\(error)")
        #expect(try fileNames(in: path).isEmpty)
    }

    @Test func aTensorOfAnotherSizeIsNotSaved() throws {
        let files = [
            CheckpointFile(
                name: "model.safetensors", content: .tensors([TensorSource(name: "a", shape: [3], floats: [1, 2])]))
        ]
        let error = try thrown {
            try CheckpointDirectory(path: path).save(step: 1, files: files)
        }
        #expect(error.description.contains("\"a\" gave 8 bytes, expected 12"))
        #expect(try fileNames(in: path).isEmpty)
    }

    @Test func aDirectoryThatIsGone() throws {
        let error = try thrown {
            try CheckpointDirectory(path: path + "/gone").saveSample(step: 1)
        }
        #expect(error.exitCode == .writeFailed)
        #expect(error.description.hasSuffix("there is no earlier one"))
        #expect(try fileNames(in: path).isEmpty)
    }
}
