import Glibc

extension Tokenizer {
    /// The largest tokenizer file that is read.
    static let maximumFileSize = 64 << 20

    /// Reads a tokenizer.
    ///
    /// - Parameter path: a `tokenizer.json`, or a directory that holds one, or one that holds `vocab.json` and
    ///   `merges.txt`.
    /// - Throws: exit code 66 where there is no such file; 65 where it is not a byte-level BPE tokenizer with GPT-2's
    ///   pre-tokenization or does not hold together.
    public init(path: String) throws(TokenDataError) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw TokenDataError(
                .missingInput,
                "no tokenizer at '\(path)': \(SystemFile.lastError); give a directory with tokenizer.json")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            self = try Self.reading(json: path)
            return
        }
        let json = path + "/tokenizer.json"
        let vocabulary = path + "/vocab.json"
        let merges = path + "/merges.txt"
        if access(json, F_OK) == 0 {
            self = try Self.reading(json: json)
        } else if access(vocabulary, F_OK) == 0, access(merges, F_OK) == 0 {
            self = try Self.reading(vocabulary: vocabulary, merges: merges)
        } else {
            throw TokenDataError(
                .missingInput,
                "'\(path)' holds neither tokenizer.json nor vocab.json with merges.txt; "
                    + "make one with swiftlet tokenize")
        }
    }

    private static func load(_ path: String) throws(TokenDataError) -> [UInt8] {
        let file = try SystemFile(reading: path)
        let size = try file.size()
        guard size <= maximumFileSize else {
            throw TokenDataError(
                .badInput, "'\(path)' has \(size) bytes; a tokenizer file has at most \(maximumFileSize)")
        }
        return try file.bytes(at: 0, count: size)
    }

    private static func document(_ path: String) throws(TokenDataError) -> JSONDocument {
        let text = try load(path)
        do {
            return try JSONDocument(text)
        } catch {
            throw TokenDataError(.badInput, "'\(path)' is not valid JSON: it \(error.reason) (at byte \(error.offset))")
        }
    }

    private static func reading(json path: String) throws(TokenDataError) -> Tokenizer {
        let document = try document(path)
        do {
            return try TokenizerFile(document: document, path: path).tokenizer()
        } catch let failure as JSONDocument.Failure {
            throw TokenDataError(.badInput, "'\(path)' \(failure.reason) (at byte \(failure.offset))")
        } catch let error as TokenDataError {
            throw error
        } catch {
            throw TokenDataError(.badInput, "'\(path)' cannot be read: \(error)")
        }
    }

    private static func reading(vocabulary: String, merges: String) throws(TokenDataError) -> Tokenizer {
        let document = try document(vocabulary)
        let tokens = try TokenizerFile(document: document, path: vocabulary).vocabulary(at: 0)
        var pairs: [(left: [UInt8], right: [UInt8])] = []
        for (number, line) in try load(merges).split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            let line = line.last == 0x0D ? line.dropLast() : line
            if line.isEmpty || (number == 0 && line.starts(with: Array("#version".utf8))) { continue }
            guard let pair = TokenizerFile.pair(line) else {
                throw TokenDataError(.badInput, "'\(merges)' line \(number + 1) is not two tokens with a space between")
            }
            pairs.append(pair)
        }
        let special = tokens.first { $0.form == Array(endOfText.utf8) }.map {
            AddedToken(id: Int32(truncatingIfNeeded: $0.id), content: $0.form, isSpecial: true)
        }
        return try Tokenizer(
            vocabulary: tokens, merges: pairs, added: special.map { [$0] } ?? [], source: vocabulary)
    }
}

/// The parts of a `tokenizer.json`, checked: anything that would change ids and is not supported is an error.
struct TokenizerFile {
    let document: JSONDocument
    let path: String

    /// GPT-2's split pattern as some files spell it out.
    static let splitPattern =
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    func tokenizer() throws -> Tokenizer {
        guard document.nodes[0].kind == .object, let model = try document.member("model", of: 0) else {
            throw bad("has no \"model\"")
        }
        if let normalizer = try document.member("normalizer", of: 0) {
            throw try bad("has a normalizer (\(type(of: normalizer))); Swiftlet supports none")
        }
        guard let splitter = try document.member("pre_tokenizer", of: 0) else {
            throw bad("has no pre_tokenizer; Swiftlet supports ByteLevel, GPT-2's")
        }
        try checkSplitter(splitter)
        try checkModel(model)
        guard let table = try document.member("vocab", of: model),
            let list = try document.member("merges", of: model), document.nodes[list].kind == .array
        else {
            throw bad("has a model without \"vocab\" and \"merges\"")
        }
        var merges: [(left: [UInt8], right: [UInt8])] = []
        for (rank, item) in document.children(list).enumerated() {
            guard let pair = pair(item) else { throw bad("has merge \(rank), which is not a pair of tokens") }
            merges.append(pair)
        }
        return try Tokenizer(
            vocabulary: vocabulary(at: table), merges: merges, added: addedTokens(), source: path)
    }

    private func bad(_ reason: String) -> TokenDataError { TokenDataError(.badInput, "'\(path)' \(reason)") }

    private func type(of index: Int) throws -> String {
        try document.member("type", of: index).map { String(decoding: document.string($0), as: UTF8.self) } ?? "no type"
    }

    private func flag(_ name: String, of index: Int, default value: Bool) throws -> Bool {
        try document.member(name, of: index).flatMap { document.boolean($0) } ?? value
    }

    private func checkSplitter(_ index: Int) throws {
        switch try type(of: index) {
        case "ByteLevel":
            guard try flag("use_regex", of: index, default: true) else {
                throw bad("has a ByteLevel pre_tokenizer without GPT-2's pattern; Swiftlet needs use_regex true")
            }
            try checkNoPrefixSpace(index)
        case "Sequence":
            // The spelled-out form: a Split with GPT-2's pattern, then ByteLevel without its own.
            let parts = try document.member("pretokenizers", of: index).map { document.children($0) } ?? []
            guard parts.count == 2, try type(of: parts[0]) == "Split", try type(of: parts[1]) == "ByteLevel",
                try !flag("use_regex", of: parts[1], default: true), try !flag("invert", of: parts[0], default: false),
                let pattern = try document.member("pattern", of: parts[0]),
                let regex = try document.member("Regex", of: pattern),
                document.string(regex) == Array(Self.splitPattern.utf8)
            else {
                throw bad("has a pre_tokenizer Sequence other than GPT-2's; Swiftlet supports GPT-2's split only")
            }
            try checkNoPrefixSpace(parts[1])
        default:
            throw try bad("has pre_tokenizer \(type(of: index)); Swiftlet supports ByteLevel, GPT-2's")
        }
    }

    private func checkNoPrefixSpace(_ index: Int) throws {
        // Files that leave it out mean true: that is Hugging Face's default.
        if try flag("add_prefix_space", of: index, default: true) {
            throw bad("has add_prefix_space true; Swiftlet supports false, as GPT-2 has it")
        }
    }

    private func checkModel(_ model: Int) throws {
        if let kind = try document.member("type", of: model), document.string(kind) != Array("BPE".utf8) {
            throw try bad("has model type \(type(of: model)); Swiftlet supports BPE")
        }
        for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let affix = try document.member(name, of: model), !document.string(affix).isEmpty {
                throw bad("has \(name) in its model; a byte-level vocabulary has none")
            }
        }
        if try flag("ignore_merges", of: model, default: false) {
            throw bad("has ignore_merges true, which Swiftlet does not support")
        }
        if let dropout = try document.member("dropout", of: model), document.wholeNumber(dropout) != 0,
            document.text[Int(document.nodes[dropout].start)..<Int(document.nodes[dropout].end)]
                .contains(where: { (0x31...0x39).contains($0) })
        {
            throw bad("has dropout in its model; set it to null")
        }
    }

    /// The tokens of a vocabulary object with their ids.
    func vocabulary(at index: Int) throws(TokenDataError) -> [(form: [UInt8], id: Int)] {
        guard document.nodes[index].kind == .object else { throw bad("has a vocabulary that is not an object") }
        let items = document.children(index)
        var result: [(form: [UInt8], id: Int)] = []
        result.reserveCapacity(items.count / 2)
        for key in stride(from: 0, to: items.count, by: 2) {
            let form = document.string(items[key])
            guard let id = document.wholeNumber(items[key + 1]) else {
                throw bad("has token '\(String(decoding: form.prefix(64), as: UTF8.self))' without a whole-number id")
            }
            result.append((form, id))
        }
        return result
    }

    private func addedTokens() throws -> [Tokenizer.AddedToken] {
        guard let list = try document.member("added_tokens", of: 0) else { return [] }
        return try document.children(list).map { item in
            guard let id = try document.member("id", of: item).flatMap({ document.wholeNumber($0) }),
                id < Tokenizer.maximumID, let content = try document.member("content", of: item)
            else {
                throw bad("has an added token without a usable id and content")
            }
            let text = String(decoding: document.string(content).prefix(64), as: UTF8.self)
            for name in ["single_word", "lstrip", "rstrip"] where try flag(name, of: item, default: false) {
                throw bad("has added token '\(text)' with \(name) true, which Swiftlet does not support")
            }
            let isSpecial = try flag("special", of: item, default: false)
            return .init(id: Int32(id), content: document.string(content), isSpecial: isSpecial)
        }
    }

    /// A merge in either form: an array of two strings, or one string with a space between.
    private func pair(_ index: Int) -> (left: [UInt8], right: [UInt8])? {
        if document.nodes[index].kind == .string { return Self.pair(document.string(index)[...]) }
        let parts = document.children(index)
        guard document.nodes[index].kind == .array, parts.count == 2,
            parts.allSatisfy({ document.nodes[$0].kind == .string })
        else { return nil }
        return (document.string(parts[0]), document.string(parts[1]))
    }

    /// The two tokens of a line `left right`.
    static func pair(_ line: ArraySlice<UInt8>) -> (left: [UInt8], right: [UInt8])? {
        let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        return (Array(parts[0]), Array(parts[1]))
    }
}
