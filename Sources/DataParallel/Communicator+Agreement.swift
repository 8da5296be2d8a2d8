import Collectives

extension Communicator {
    /// Agree, then act: whether `condition` holds on any rank. The same answer on every rank.
    package func isAny(_ condition: Bool) throws(CollectiveError) -> Bool {
        try allReduce(condition ? Int64(1) : 0, .maximum) > 0
    }
}
