// Conveniences over the protocol for single values and messages of unknown length; the data path does not use them.

extension Communicator {
    /// Combines one number over ranks; every rank gets the result.
    package func allReduce<Value: Reducible>(
        _ value: Value, _ operation: ReductionOperation
    ) throws(CollectiveError) -> Value {
        var values = [value]
        var span = values.mutableSpan
        try allReduce(&span, operation)
        return values[0]
    }

    /// Agree, then act: whether `condition` holds on any rank. The same answer on every rank.
    package func isAny(_ condition: Bool) throws(CollectiveError) -> Bool {
        try allReduce(condition ? Int64(1) : 0, .maximum) > 0
    }

    /// Copies `root`'s message to every rank; only `root` needs to know it, or its length, before.
    package func broadcast(message: [UInt8], root: Int = 0) throws(CollectiveError) -> [UInt8] {
        let length = try allReduce(rank == root ? Int64(message.count) : 0, .maximum)
        var bytes = rank == root ? message : [UInt8](repeating: 0, count: Int(length))
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        try broadcast(&raw, root: root)
        return bytes
    }

    /// The ranks' hosts, in the order of the ranks, at rank 0; elsewhere nothing.
    package func gatherHostNames() throws(CollectiveError) -> [String] {
        try gather(Array(hostName.utf8), root: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Copies `root`'s text to every rank.
    package func broadcast(message: String, root: Int = 0) throws(CollectiveError) -> String {
        String(decoding: try broadcast(message: Array(message.utf8), root: root), as: UTF8.self)
    }
}
