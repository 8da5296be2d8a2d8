import Basics

/// The parts of a `tokenizer.json`: anything that would change ids and is not supported is an error.
struct TokenizerFile {
    private let json: JSON
    private let path: FilePath

    /// GPT-2's split pattern as some files spell it out.
    private static let splitPattern =
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    /// - Throws: exit code 65 for what is no JSON.
    init(_ text: [UInt8], path: FilePath) throws(ExitError) {
        self.path = path
        do throws(JSONError) {
            json = try JSON(text)
        } catch {
            throw ExitError(.badInput, "'\(path.shown)' is not valid JSON: \(error)")
        }
    }

    /// A `tokenizer.json`.
    func tokenizer() throws(ExitError) -> Tokenizer {
        guard let model = json.member("model") else { throw bad("has no \"model\"") }
        try checkWhatIsAdded()
        try checkSplitter()
        try checkModel(model)
        guard let vocabulary = model.member("vocab"), let list = model.member("merges")?.elements else {
            throw bad("has a model without \"vocab\" and \"merges\"")
        }
        let merges = try list.enumerated().map { rank, item throws(ExitError) in
            guard let pair = Self.pair(item) else { throw bad("has merge \(rank), which is not a pair of tokens") }
            return pair
        }
        return try Tokenizer(
            TokenizerParts(
                vocabulary: tokens(of: vocabulary), merges: merges, added: addedTokens(), source: path.shown,
                mergesSource: path.shown))
    }

    private func bad(_ reason: String) -> ExitError { ExitError(.badInput, "'\(path.shown)' \(reason)") }

    private func type(of part: JSON) -> String { part.member("type")?.string.map { printable($0) } ?? "no type" }

    /// What would change or cut the text before the split, or add to the ids after it.
    private func checkWhatIsAdded() throws(ExitError) {
        if let normalizer = json.member("normalizer") {
            throw bad("has a normalizer (\(type(of: normalizer))); Swiftlet supports none")
        }
        for name in ["truncation", "padding"] where json.member(name) != nil {
            throw bad("has \(name), which changes the ids of a text; set it to null in a copy")
        }
        if let processor = json.member("post_processor"), !Self.addsNothing(processor) {
            throw bad(
                "has post_processor \(type(of: processor)), which adds tokens to every text; set it to null in a copy")
        }
        if let decoder = json.member("decoder"), !decoder.isType("ByteLevel") {
            throw bad("has decoder \(type(of: decoder)); Swiftlet supports ByteLevel, GPT-2's")
        }
    }

    private static func addsNothing(_ processor: JSON) -> Bool {
        if processor.isType("Sequence") {
            return processor.member("processors")?.elements?.allSatisfy(addsNothing) == true
        }
        if processor.isType("ByteLevel") { return true }
        // A template of the text alone.
        guard processor.isType("TemplateProcessing"), let parts = processor.member("single")?.elements else {
            return false
        }
        return parts.count == 1 && parts[0].member("Sequence") != nil
    }

    private func checkSplitter() throws(ExitError) {
        guard let splitter = json.member("pre_tokenizer") else {
            throw bad("has no pre_tokenizer; Swiftlet supports ByteLevel, GPT-2's")
        }
        if splitter.isType("ByteLevel") {
            guard splitter.flag("use_regex", default: true) else {
                throw bad("has a ByteLevel pre_tokenizer without GPT-2's pattern; Swiftlet needs use_regex true")
            }
            return try checkNoPrefixSpace(splitter)
        }
        guard splitter.isType("Sequence") else {
            throw bad("has pre_tokenizer \(type(of: splitter)); Swiftlet supports ByteLevel, GPT-2's")
        }
        // The spelled-out form: a Split with GPT-2's pattern, then ByteLevel without its own.
        guard let parts = splitter.member("pretokenizers")?.elements, parts.count == 2, parts[0].isType("Split"),
            parts[1].isType("ByteLevel"), !parts[1].flag("use_regex", default: true),
            parts[0].member("pattern")?.member("Regex")?.isString(Self.splitPattern) == true
        else {
            throw bad("has a pre_tokenizer Sequence other than GPT-2's; Swiftlet supports GPT-2's split only")
        }
        guard parts[0].member("behavior")?.isString("Isolated") == true, !parts[0].flag("invert", default: false) else {
            throw bad(
                "has a Split with behavior \(parts[0].member("behavior")?.source ?? "of none") or invert true; "
                    + "Swiftlet supports \"Isolated\" without invert")
        }
        try checkNoPrefixSpace(parts[1])
    }

    private func checkNoPrefixSpace(_ splitter: JSON) throws(ExitError) {
        // Files that leave it out mean true: that is Hugging Face's default.
        if splitter.flag("add_prefix_space", default: true) {
            throw bad("has add_prefix_space true; Swiftlet supports false, as GPT-2 has it")
        }
    }

    private func checkModel(_ model: JSON) throws(ExitError) {
        if model.member("type") != nil, !model.isType("BPE") {
            throw bad("has model type \(type(of: model)); Swiftlet supports BPE")
        }
        for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let affix = model.member(name), !affix.isString("") {
                throw bad("has \(name) in its model; a byte-level vocabulary has none")
            }
        }
        if model.flag("ignore_merges", default: false) {
            throw bad("has ignore_merges true, which Swiftlet does not support")
        }
        if let dropout = model.member("dropout"), dropout.number != 0 {
            throw bad("has dropout in its model; set it to null")
        }
    }

    /// The tokens of a `vocab.json`, or of the part of a `tokenizer.json` that is like one, with their ids.
    func tokens(of part: JSON? = nil) throws(ExitError) -> [(form: [UInt8], id: Int)] {
        guard let members = (part ?? json).members else { throw bad("has a vocabulary that is not an object") }
        return try members.map { form, value throws(ExitError) in
            guard let id = value.int, id >= 0 else {
                throw bad("has token \(shown(form)) without a whole-number id from 0 on (\(value.source))")
            }
            return (form, id)
        }
    }

    private func addedTokens() throws(ExitError) -> [Tokenizer.AddedToken] {
        guard let list = json.member("added_tokens") else { return [] }
        guard let items = list.elements else { throw bad("has added_tokens that are no list") }
        return try items.map { item throws(ExitError) in
            guard let id = item.member("id")?.integer(Int32.self), id >= 0, id < Tokenizer.maximumID,
                let content = item.member("content")?.bytes
            else {
                throw bad("has an added token without a usable id and content: \(item.source)")
            }
            if let flag = item.unsupportedFlag {
                throw bad("has added token \(shown(content)) with \(flag) true, which Swiftlet does not support")
            }
            let isSpecial = item.flag("special", default: false)
            return Tokenizer.AddedToken(
                id: id, content: content, isSpecial: isSpecial,
                isNormalized: item.flag("normalized", default: !isSpecial))
        }
    }

    /// A merge in either form: an array of two strings, or one string with a space between.
    private static func pair(_ item: JSON) -> (left: [UInt8], right: [UInt8])? {
        if let line = item.bytes { return pair(line[...]) }
        guard let parts = item.elements, parts.count == 2, let left = parts[0].bytes, let right = parts[1].bytes else {
            return nil
        }
        return (left, right)
    }

    /// The two tokens of a line `left right`.
    static func pair(_ line: ArraySlice<UInt8>) -> (left: [UInt8], right: [UInt8])? {
        let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        return (Array(parts[0]), Array(parts[1]))
    }
}

/// A token's text for a message, in quotes.
func shown(_ token: [UInt8]) -> String { "'\(printable(String(decoding: token, as: UTF8.self), limit: 64))'" }

extension JSON {
    /// A member that is there and not null.
    func member(_ name: String) -> JSON? { self[name].flatMap { $0.kind == .null ? nil : $0 } }

    /// A member that is true or false.
    func flag(_ name: String, default value: Bool) -> Bool { member(name)?.bool ?? value }

    /// Whether this is one of Hugging Face's parts with this type.
    func isType(_ name: String) -> Bool { member("type")?.isString(name) == true }

    /// The first flag of an added token that would change how it is matched.
    var unsupportedFlag: String? { ["single_word", "lstrip", "rstrip"].first { flag($0, default: false) } }
}
