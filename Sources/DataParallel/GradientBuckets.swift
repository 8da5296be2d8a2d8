/// The gradient arena cut into ranges that are reduced one by one, from its end to its start: the order in which the
/// backward pass completes it.
package struct GradientBuckets: Sendable, Equatable {
    /// The ranges in the order of their completion, adjacent, the first one ends at `elementCount`. All begin at a
    /// multiple of the bucket size, so they keep the arena's alignment; the first one is the one that may be shorter.
    package let ranges: [Range<Int>]
    /// The size of all buckets but perhaps the first.
    package let bucketElements: Int

    /// The size of buckets unless another is asked for: an eighth of the arena, so that most of a backward pass has
    /// something on its way, between 1 and 8 MiB, where messages are long and few and the scratch beside them small.
    package static func defaultBucketElements(of elementCount: Int) -> Int {
        let mebibyte = (1 << 20) / MemoryLayout<Float>.stride
        let page = 4096 / MemoryLayout<Float>.stride
        return min(8 * mebibyte, max(mebibyte, elementCount / 8 / page * page))
    }

    /// Cuts an arena of `elementCount` Floats into buckets of `bucketElements`.
    /// - Precondition: `elementCount` is not negative, `bucketElements` is positive.
    package init(elementCount: Int, bucketElements: Int) {
        precondition(elementCount >= 0 && bucketElements >= 1)
        self.bucketElements = bucketElements
        ranges = stride(from: 0, to: elementCount, by: bucketElements).reversed().map {
            $0..<min($0 + bucketElements, elementCount)
        }
    }
}
