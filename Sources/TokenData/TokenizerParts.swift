import Basics

/// What a tokenizer's files say, before it is known to hold together.
struct TokenizerParts {
    /// Tokens in printable form with their ids.
    let vocabulary: [(form: [UInt8], id: Int)]
    /// Pairs of printable forms in the order of their rank.
    let merges: [(left: [UInt8], right: [UInt8])]
    /// The added tokens in the order of the file.
    let added: [Tokenizer.AddedToken]
    /// The file of the vocabulary, for errors.
    let source: String
    /// The file of the merges, for errors.
    let mergesSource: String

    /// A vocabulary in which tokens can be looked up.
    struct Names {
        fileprivate var table = WordTable()
        fileprivate var ids: [Int32] = []
        /// The printable form of each id, nil for those that the vocabulary lacks.
        fileprivate(set) var forms: [[UInt8]?]

        func id(of form: [UInt8]) -> Int32? { table.find(form).map { ids[$0] } }
    }

    private func bad(_ reason: String, merges isAboutMerges: Bool = false) -> ExitError {
        ExitError(.badInput, "'\(isAboutMerges ? mergesSource : source)' \(reason)")
    }

    /// One more than the largest id.
    func vocabularySize() throws(ExitError) -> Int {
        var size = 0
        for id in vocabulary.map(\.id) + added.map({ Int($0.id) }) {
            guard (0..<Tokenizer.maximumID).contains(id) else {
                throw bad("has token id \(id); ids must be from 0 to \(Tokenizer.maximumID - 1)")
            }
            size = max(size, id + 1)
        }
        // Ids far beyond the number of tokens would make a model's embedding table for nothing.
        guard size <= 2 * (vocabulary.count + added.count) + 65536 else {
            throw bad("has token id \(size - 1) but only \(vocabulary.count + added.count) tokens")
        }
        return size
    }

    /// The vocabulary, with each token and each id once.
    func namedTokens(vocabularySize: Int) throws(ExitError) -> Names {
        var names = Names(forms: [[UInt8]?](repeating: nil, count: vocabularySize))
        for (form, id) in vocabulary {
            guard !form.isEmpty else { throw bad("has an empty token with id \(id)") }
            guard names.table.intern(form).isNew else { throw bad("has token \(shown(form)) twice") }
            guard names.forms[id] == nil else { throw bad("gives id \(id) to two tokens; \(shown(form)) is one") }
            names.ids.append(Int32(id))
            names.forms[id] = form
        }
        return names
    }

    /// The ids of the 256 bytes.
    func byteIDs(_ names: Names) throws(ExitError) -> [Int32] {
        try (UInt8.min...UInt8.max).map { byte throws(ExitError) in
            guard let id = names.id(of: ByteAlphabet.printable([byte])) else {
                throw bad("has no token for byte \(byte); Swiftlet needs a byte-level vocabulary with all 256 bytes")
            }
            return id
        }
    }

    /// The merges as pairs of ids, and the table that gives a pair's rank and its merged id.
    func mergedPairs(
        _ names: Names
    ) throws(ExitError) -> (pairs: [(left: Int32, right: Int32)], table: PairTable) {
        var table = PairTable(capacity: merges.count)
        let pairs = try merges.enumerated().map { rank, merge throws(ExitError) in
            let shown = "\(shown(merge.left)) + \(shown(merge.right))"
            guard let left = names.id(of: merge.left), let right = names.id(of: merge.right),
                let whole = names.id(of: merge.left + merge.right)
            else {
                throw bad("has merge \(rank), \(shown), of tokens that the vocabulary lacks", merges: true)
            }
            let value = Int64(rank) << 32 | Int64(whole)
            guard table.insert(value, forNew: PairTable.key(left, right)).isNew else {
                throw bad("has merge \(shown) twice", merges: true)
            }
            return (left: left, right: right)
        }
        return (pairs, table)
    }

    /// Checks that added tokens have the ids that `tokenizers` gives them, whatever the file says: a token of the
    /// vocabulary has its id there, each other one the next that is free.
    func checkAddedTokens(_ names: Names) throws(ExitError) {
        var seen: Set<Int32> = []
        var next = vocabulary.count
        for token in added {
            guard !token.content.isEmpty else { throw bad("has an empty added token with id \(token.id)") }
            let known = names.id(of: token.content)
            guard seen.insert(token.id).inserted, known.map({ $0 == token.id }) ?? (names.forms[Int(token.id)] == nil)
            else {
                throw bad(
                    "has added token \(shown(token.content)) with id \(token.id), which contradicts its vocabulary")
            }
            guard known != nil || Int(token.id) == next else {
                throw bad(
                    "has added token \(shown(token.content)) with id \(token.id), where Hugging Face's tokenizers take "
                        + "\(next): added tokens are numbered from the end of the vocabulary on")
            }
            next = max(next, Int(token.id) + 1)
        }
    }
}
