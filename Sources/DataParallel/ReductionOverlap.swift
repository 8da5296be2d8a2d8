/// How the reduction of gradients goes on beside the backward pass (`--overlap`). All have the same bits.
package enum ReductionOverlap: String, CaseIterable, Codable, Sendable {
    /// Each bucket is summed over ranks, start to end, when it is complete and still in the cache.
    case none
    /// Each bucket's messages are sent when it is complete, and each of their rounds is finished when later buckets are.
    case messages
}
