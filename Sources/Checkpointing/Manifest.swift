import Basics

/// `manifest.json`: what a checkpoint consists of. It is written last, so a directory without it is no checkpoint.
package struct Manifest: Equatable, Sendable {
    /// One file of the checkpoint.
    package struct File: Equatable, Sendable {
        package let name: String
        /// Bytes.
        package let size: Int
        /// 64 hexadecimal digits.
        package let sha256: String
    }

    /// The name of the manifest itself.
    package static let fileName = "manifest.json"
    static let sizeLimit = 1 << 20

    /// Optimizer updates made.
    package let step: Int
    /// Sorted by name.
    package let files: [File]

    init(step: Int, files: [File]) {
        self.step = step
        self.files = files.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    /// The entry of a file, or nil.
    package func file(_ name: String) -> File? { files.first { $0.name == name } }

    /// The bytes of the file.
    func json() -> [UInt8] {
        let list = files.map { file in
            (file.name, JSONText.object([("size", .number(file.size)), ("sha256", .string(file.sha256))]))
        }
        return JSONText.object([
            ("format_version", .number(TrainerState.currentFormatVersion)), ("step", .number(step)),
            ("files", .object(list)),
        ]).pretty + [0x0A]
    }

    /// Reads a manifest; throws 65 naming `path` and the value. It names nothing but plain files beside it.
    init(json: [UInt8], path: String) throws {
        func fail(_ what: String) -> ExitError { ExitError(.badInput, "\(path): \(what)") }
        let value = try naming(path) { try JSON(json, sizeLimit: Self.sizeLimit) }
        try TrainerState.checkVersion(value, file: path)
        guard let step = value["step"]?.int, step >= 0 else { throw fail("step is not a whole number of 0 or more") }
        guard let members = value["files"]?.members else { throw fail("files is not an object") }
        var files: [File] = []
        for (bytes, entry) in members {
            let name = String(decoding: bytes, as: UTF8.self)
            guard Self.isPlainName(name) else { throw fail("\(quoted(name)) is not a plain file name") }
            guard let size = entry["size"]?.int, size >= 0, let hash = entry["sha256"]?.string, isHexadecimal(hash, 64)
            else { throw fail("\(quoted(name)) needs a size and a SHA-256 of 64 hexadecimal digits") }
            files.append(File(name: name, size: size, sha256: hash))
        }
        self.init(step: step, files: files)
        // Nothing else protects the manifest, so not even a blank may be another one.
        guard self.json() == json else { throw fail("it was changed after it was written") }
    }

    /// Letters, digits, `.`, `_` and `-`, not starting with a dot and not the manifest: nothing that leads elsewhere.
    static func isPlainName(_ name: String) -> Bool {
        func isAllowed(_ byte: UInt8) -> Bool {
            switch Unicode.Scalar(byte) {
            case "0"..."9", "A"..."Z", "a"..."z", ".", "-", "_": true
            default: false
            }
        }
        return name.utf8.allSatisfy(isAllowed) && (1...128).contains(name.utf8.count)
            && !name.hasPrefix(".") && name != fileName
    }
}
