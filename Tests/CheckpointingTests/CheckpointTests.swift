import Basics
import Checkpointing
import Glibc
import Optimization
import Testing

/// What is not exactly what was saved is not a checkpoint.
@Suite struct CheckpointTests {
    private let root: TemporaryDirectory
    private var directory: CheckpointDirectory { CheckpointDirectory(path: root.path) }

    init() throws { root = try TemporaryDirectory() }

    /// Saves and returns the checkpoint's directory.
    private func saved(_ step: Int = 5) throws -> FilePath { try directory.saveSample(step: step).path }

    private func expectInvalid(_ path: FilePath, _ text: String = "", _ note: String = "") throws {
        do {
            _ = try Checkpoint(verifying: path)
            Issue.record("\(note): accepted")
        } catch {
            #expect(exitCode(of: error) == 65, "\(note): \(error)")
            #expect(text.isEmpty || "\(error)".contains(text), "\(note): \(error)")
        }
    }

    @Test func everyTruncationOfEveryFile() throws {
        let path = try saved()
        for name in try fileNames(in: path) {
            let bytes = try readFile(path + "/" + name)
            for length in 0..<bytes.count {
                try writeFile(path + "/" + name, Array(bytes.prefix(length)))
                try expectInvalid(path, name, "\(name) cut to \(length)")
            }
            try writeFile(path + "/" + name, bytes)
        }
        _ = try Checkpoint(verifying: path)
    }

    @Test func everyFlippedByteOfEveryFile() throws {
        let path = try saved()
        for name in try fileNames(in: path) {
            let bytes = try readFile(path + "/" + name)
            for place in bytes.indices {
                var changed = bytes
                changed[place] ^= 1 << UInt8(place % 8)
                try writeFile(path + "/" + name, changed)
                try expectInvalid(path, "", "\(name) byte \(place)")
            }
            try writeFile(path + "/" + name, bytes)
        }
    }

    @Test func saysWhatWasExpectedAndFound() throws {
        let path = try saved()
        let model = path + "/model.safetensors"
        var bytes = try readFile(model)
        bytes[bytes.count - 1] ^= 1
        try writeFile(model, bytes)
        try expectInvalid(path, "\(model) has SHA-256 ")
        try writeFile(model, bytes + [0])
        try expectInvalid(path, "\(model) has \(bytes.count + 1) bytes, expected \(bytes.count)")
        try LocalFileSystem().removeFile(model)
        try expectInvalid(path, model.shown)
    }

    @Test func filesOfTwoStepsMixed() throws {
        let five = try saved(5)
        let six = try saved(6)
        try writeFile(five + "/model.safetensors", try readFile(six + "/model.safetensors"))
        try expectInvalid(five, "model.safetensors")
        try writeFile(five + "/manifest.json", try readFile(six + "/manifest.json"))
        try expectInvalid(five, "is of step 6, but the directory is step-00000005")
    }

    @Test func linksAndPipesAreNotFollowed() throws {
        let path = try saved()
        let model = path + "/model.safetensors"
        let bytes = try readFile(model)
        let elsewhere = root.path + "/elsewhere"
        try writeFile(elsewhere, bytes)
        func replaceModel(_ make: () -> Int32) throws {
            try LocalFileSystem().removeFile(model)
            try #require(make() == 0)
        }
        try replaceModel { symlink(elsewhere.string, model.string) }
        try expectInvalid(path, "symbolic link")
        try replaceModel { symlink((root.path + "/nothing").string, model.string) }
        try expectInvalid(path, "symbolic link")
        try replaceModel { mkfifo(model.string, 0o644) }
        try expectInvalid(path, "a pipe, expected a file")
        try LocalFileSystem().removeFile(model)
        try LocalFileSystem().makeDirectory(model)
        try expectInvalid(path, "a directory, expected a file")
        try LocalFileSystem().removeDirectory(model)
        try writeFile(model, bytes)
        _ = try Checkpoint(verifying: path)

        let link = root.path + "/step-00000009"
        try #require(symlink(path.string, link.string) == 0)
        // A link that is given stands for the checkpoint (P6), as in every command.
        #expect(try Checkpoint(verifying: link).state.step == 5)
        try expectInvalid(elsewhere, "is a file, expected a checkpoint directory")
        let missing = try thrown { try Checkpoint(verifying: root.path + "/none") }
        #expect(missing.exitCode == 66)
        try LocalFileSystem().removeFile(link)
        try LocalFileSystem().removeFile(path + "/manifest.json")
        try expectInvalid(path, "no whole checkpoint")
    }

    @Test(arguments: [
        ("../model.safetensors", "is not a plain file name"), ("/etc/passwd", "is not a plain file name"),
        ("a/b", "is not a plain file name"), ("..", "is not a plain file name"), (".x", "is not a plain file name"),
        ("manifest.json", "is not a plain file name"), ("", "is not a plain file name"),
        (String(repeating: "a", count: 129), "is not a plain file name"), ("a\\u0000", "is not a plain file name"),
        ("a b", "is not a plain file name"), ("a:b", "is not a plain file name"), ("ä", "is not a plain file name"),
    ])
    func namesInTheManifestStayInside(name: String, reason: String) throws {
        let path = try saved()
        let text = String(decoding: try readFile(path + "/manifest.json"), as: UTF8.self)
        let changed = text.replacing("\"tokenizer.json\"", with: "\"\(name)\"")
        try writeFile(path + "/manifest.json", Array(changed.utf8))
        try expectInvalid(path, reason)
    }

    @Test func hostileManifests() throws {
        let path = try saved()
        let text = String(decoding: try readFile(path + "/manifest.json"), as: UTF8.self)
        for (old, new, reason) in [
            ("\"format_version\": 1", "\"format_version\": 2", "format version 2, this program reads 1"),
            ("\"format_version\": 1", "\"format_version\": \"1\"", "format_version is missing"),
            ("\"step\": 5", "\"step\": -5", "step"), ("\"step\": 5", "\"step\": 5.0", "step"),
            ("\"step\": 5", "\"step\": 5, \"step\": 5", "for the second time"),
            ("\"size\": 2", "\"size\": 18446744073709551615", "needs a size"),
            ("\"config.json\"", "\"configuration.json\"", "does not list config.json"),
        ] {
            try #require(text.contains(old))
            try writeFile(path + "/manifest.json", Array(text.replacing(old, with: new).utf8))
            try expectInvalid(path, reason, new)
        }
        try writeFile(path + "/manifest.json", [UInt8](repeating: 0x20, count: 2 << 20))
        try expectInvalid(path, "expected at most")
    }

    /// Edited by hand and hashed again: the numbers must fit each other.
    @Test(arguments: [
        ("\"step\": 5,\n  \"epoch\"", "\"step\": 4,\n  \"epoch\"", "step"),
        ("\"position\": 80", "\"position\": 81", "position is 81, expected step · global_batch"),
        ("\"position\": 80", "\"position\": 79", "position is 79, expected step · global_batch"),
        ("\"tokens_seen\": 320", "\"tokens_seen\": 0", "tokens_seen is 0"),
        ("\"tokens_seen\": 320", "\"tokens_seen\": 321", "tokens_seen is 321, expected position"),
        ("\"epoch\": 0", "\"epoch\": -1", "epoch is -1"), ("\"step\": 5", "\"step\": -5", "-5"),
        ("\"base_learning_rate\": 0.0003", "\"base_learning_rate\": 0.0004", "not what the saved schedule gives"),
        ("\"base_learning_rate\": 0.0003", "\"base_learning_rate\": -1", "--learning-rate is -1"),
        ("\"total_steps\": 100", "\"total_steps\": 101", "not what the saved schedule gives"),
        ("\"next_learning_rate_bits\": \"0x3f", "\"next_learning_rate_bits\": \"0x3e", "next_learning_rate_bits"),
        ("\"seed\": 18446744073709551615", "\"seed\": -1", "seed"),
        ("\"format_version\": 1", "\"format_version\": 7", "format version 7, this program reads 1"),
        ("\"beta1\": 0.9", "\"beta1\": null", "beta1"), ("\"kind\": \"cosine\"", "\"kind\": \"cubic\"", "kind"),
        ("\"global_batch\": 16", "\"global_batch\": 9223372036854775807", "position"),
        ("\"best_validation_step\": 5", "\"best_validation_step\": 6", "step is 6, expected at most the step 5"),
        ("\"best_validation_step\": 5", "\"best_validation_step\": 0", "best_validation_step is 0, expected a whole"),
        ("\"evaluations_since_best\": 0", "\"evaluations_since_best\": 1", "expected at most the steps since, 0"),
        ("\"evaluations_since_best\": 0", "\"evaluations_since_best\": -1", "evaluations_since_best is -1"),
    ])
    func stateThatDoesNotFitItself(old: String, new: String, reason: String) throws {
        let text = String(decoding: try Sample.state(step: 5).json(), as: UTF8.self)
        try #require(text.contains(old), "\(text)")
        let state = Array(text.replacing(old, with: new).utf8)
        let saved = try directory.save(step: 5, files: Sample.files(step: 5, state: state))
        try expectInvalid(saved.path, reason)
    }

    @Test("The state of another step, before or after it, is not this checkpoint's", arguments: [4, 6])
    func stateOfAnotherStep(step: Int) throws {
        let state = try Sample.state(step: step).json()
        let saved = try directory.save(step: 5, files: Sample.files(step: 5, state: state))
        try expectInvalid(saved.path, "is of step \(step), expected 5")
    }

    @Test func stateKeepsEveryDigit() throws {
        let state = try Sample.state(step: 7)
        let json = state.json()
        #expect(try TrainerState(json: json, file: "x") == state)
        let text = String(decoding: json, as: UTF8.self)
        #expect(text.contains("\"configuration\": {\n    \"steps\": \"100\",\n    \"layers\": \"0\"\n  }"))
        #expect(text.contains("\"next_learning_rate_bits\": \"0x3f"))
    }

    @Test func theNewestThatVerifies() throws {
        #expect(try directory.newestVerified().checkpoint == nil)
        for step in [10, 20, 100] { try directory.saveSample(step: step) }
        try writeFile(root.path + "/step-00000100/model.safetensors", [0])
        for name in [
            "step-9999999999999999999", "step-1000000000000", "step-12abc", "step-", "step--1", "step-0001 ", ".trash",
            "Step-300", "step-200.tmp-0123456789abcdef", "step-١٢",
        ] { try LocalFileSystem().makeDirectory(root.path + "/" + name) }
        try writeFile(root.path + "/step-00000500", [1])
        let (checkpoint, warnings) = try directory.newestVerified()
        #expect(checkpoint?.state.step == 20)
        #expect(warnings.count == 2)
        #expect(warnings.first?.contains("step-00000500 is passed over") == true)
        #expect(warnings.last?.contains("model.safetensors has 1 bytes") == true)
        #expect(try directory.list().candidates.map(\.step) == [500, 100, 20, 10])
        #expect(try directory.list().ignored == 10)
    }

    /// Any number of digits is a checkpoint's name; of one step's, the longest comes first.
    @Test func oneStepUnderTwoNames() throws {
        for name in ["step-5", "step-0000000005", "step-000000000005"] {
            try #require(rename(try saved().string, (root.path + name).string) == 0)
        }
        let last = try directory.saveSample(step: 5, value: 9)
        try directory.saveSample(step: 4)
        #expect(
            try directory.list().candidates.map(\.name) == [
                "step-000000000005", "step-0000000005", "step-00000005", "step-5", "step-00000004",
            ])
        for name in ["step-000000000005", "step-0000000005"] { TemporaryDirectory.remove(root.path + name) }
        #expect(try directory.newestVerified().checkpoint?.manifest == last.manifest)
    }
}
