import Basics

extension Tokenizer {
    /// Reads a tokenizer.
    ///
    /// - Parameter path: a `tokenizer.json`, or a directory that holds one, or one that holds `vocab.json` and
    ///   `merges.txt`.
    /// - Throws: exit code 66 where there is no such file; 65 where it is not a byte-level BPE tokenizer with GPT-2's
    ///   pre-tokenization, does not hold together, or where what lies beside it would change its ids.
    package init(path: FilePath) throws {
        let kind = try LocalFileSystem().status(path, followLinks: true).kind
        guard kind == .directory else {
            let text = try InputFile(path).contents(limit: 64 << 20)
            self = try TokenizerFile(text, path: path).tokenizer()
            return
        }
        guard let found = try Self.inFolder(path) else {
            throw ExitError(
                .missingInput,
                "'\(path.shown)' holds neither tokenizer.json nor vocab.json with merges.txt; "
                    + "make one with swiftlet tokenize")
        }
        self = found.tokenizer
    }

    /// The tokenizer of a folder, and its `tokenizer.json`: the file, byte for byte, or one made of `vocab.json` and
    /// `merges.txt`. Nil where the folder has none.
    ///
    /// - Throws: as `init(path:)`.
    package static func inFolder(_ folder: FilePath) throws -> (tokenizer: Tokenizer, json: [UInt8])? {
        try inFolder(folder) { try InputFile.contents(ifPresent: folder.appending($0)) }
    }

    /// The same of a folder whose files are read by `contents`, which gives nil for one that is not there.
    package static func inFolder(
        _ folder: FilePath, contents: @escaping (String) throws -> [UInt8]?
    ) throws -> (tokenizer: Tokenizer, json: [UInt8])? {
        let tokenizer: Tokenizer
        var json: [UInt8]?
        if let text = try contents("tokenizer.json") {
            tokenizer = try TokenizerFile(text, path: folder.appending("tokenizer.json")).tokenizer()
            json = text
        } else if let vocabulary = try contents("vocab.json"), let merges = try contents("merges.txt") {
            tokenizer = try Tokenizer(vocabulary: vocabulary, merges: merges, folder: folder)
        } else {
            return nil
        }
        try TokenizerNotes(folder: folder, tokenizer: tokenizer, contents: contents).check()
        return (tokenizer, json ?? tokenizer.tokenizerJSON())
    }

    /// GPT-2's own two files, with `<|endoftext|>` as the one special token where the vocabulary has it.
    private init(vocabulary: [UInt8], merges: [UInt8], folder: FilePath) throws {
        let path = folder.appending("merges.txt").shown
        let tokens = try TokenizerFile(vocabulary, path: folder.appending("vocab.json")).tokens()
        if merges.starts(with: [0xEF, 0xBB, 0xBF]) {
            throw ExitError(.badInput, "'\(path)' begins with a byte-order mark; save it without one")
        }
        var pairs: [(left: [UInt8], right: [UInt8])] = []
        for (number, line) in merges.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            let line = line.last == 0x0D ? line.dropLast() : line
            if line.isEmpty || (number == 0 && line.starts(with: "#version".utf8)) { continue }
            guard let pair = TokenizerFile.pair(line) else {
                throw ExitError(.badInput, "'\(path)' line \(number + 1) is not two tokens with a space between")
            }
            pairs.append(pair)
        }
        let mark = Array(Self.endOfText.utf8)
        let special = tokens.filter { $0.form == mark }.map {
            AddedToken(id: Int32(clamping: $0.id), content: mark, isSpecial: true, isNormalized: false)
        }
        try self.init(
            TokenizerParts(
                vocabulary: tokens, merges: pairs, added: special,
                source: folder.appending("vocab.json").shown, mergesSource: path))
    }
}

/// The files beside a tokenizer from which transformers takes more tokens and settings. What they say must be in the
/// tokenizer already: Swiftlet would give other ids otherwise.
struct TokenizerNotes {
    let folder: FilePath
    let tokenizer: Tokenizer
    let contents: (String) throws -> [UInt8]?

    private static let tokenNames = [
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
        "additional_special_tokens", "extra_special_tokens",
    ]

    func check() throws {
        try read("tokenizer_config.json") { notes, name in
            for setting in ["add_prefix_space", "add_bos_token", "add_eos_token"]
            where notes.flag(setting, default: false) {
                throw bad(name, "sets \(setting), which Swiftlet does not support; set it to false in a copy")
            }
            for (id, token) in notes.member("added_tokens_decoder")?.members ?? [] {
                try require(token, id: Int(String(decoding: id, as: UTF8.self)), name, "added_tokens_decoder")
            }
            try checkTokens(notes, name)
        }
        try read("special_tokens_map.json", checkTokens)
        try read("added_tokens.json") { notes, name in
            for (content, id) in notes.members ?? [] { try require(content, id: id.int ?? -1, name, name) }
        }
    }

    private func checkTokens(_ notes: JSON, _ name: String) throws {
        for role in Self.tokenNames {
            guard let value = notes.member(role) else { continue }
            let tokens =
                value.elements ?? (value.member("content") == nil ? value.members?.map(\.value) : nil) ?? [value]
            for token in tokens { try require(token, id: nil, name, role) }
        }
    }

    private func read(_ name: String, _ body: (JSON, String) throws -> Void) throws {
        guard let text = try contents(name) else { return }
        do {
            try body(JSON(text), name)
        } catch let error as JSONError {
            throw bad(name, "is not valid JSON: \(error)")
        }
    }

    private func bad(_ name: String, _ reason: String) -> ExitError {
        ExitError(.badInput, "'\(folder.appending(name).shown)' \(reason)")
    }

    /// A token that is named by its text or by an object with `content` and flags.
    private func require(_ token: JSON, id: Int?, _ name: String, _ role: String) throws {
        if let flag = token.unsupportedFlag {
            throw bad(name, "has a token with \(flag) true (\(token.source)), which Swiftlet does not support")
        }
        guard let content = token.bytes ?? token.member("content")?.bytes else {
            throw bad(name, "has a \(role) that is no token: \(token.source)")
        }
        try require(content, id: id, name, role)
    }

    private func require(_ content: [UInt8], id: Int?, _ name: String, _ role: String) throws {
        let known = tokenizer.addedTokens.contains { $0.content == content && (id == nil || Int($0.id) == id) }
        guard known else {
            throw bad(
                name,
                "names \(shown(content)) (\(role)\(id.map { ", id \($0)" } ?? "")), which is no added token of the tokenizer "
                    + "there; save it as one tokenizer.json (transformers: use_fast=True, save_pretrained)")
        }
    }
}
