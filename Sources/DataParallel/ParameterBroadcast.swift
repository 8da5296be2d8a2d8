import Basics
import Collectives
import Kernels

/// Gives every rank the values that one rank has.
package enum ParameterBroadcast {
    /// Copies `root`'s buffer, or a range of it, to every rank, in pieces of `chunkElements`.
    /// - Precondition: the buffers of all ranks have the same count.
    package static func broadcast<Element: BitwiseCopyable>(
        _ buffer: Buffer<Element>, _ range: Range<Int>? = nil, from root: Int = 0, chunkElements: Int = 1 << 22,
        on communicator: any Communicator
    ) throws(CollectiveError) {
        precondition(chunkElements >= 1)
        let whole = range ?? 0..<buffer.count
        for start in stride(from: whole.lowerBound, to: whole.upperBound, by: chunkElements) {
            let piece = start..<min(start + chunkElements, whole.upperBound)
            try buffer.withMutableSpan(piece) { (values) throws(CollectiveError) in
                var bytes = values.mutableBytes
                try communicator.broadcast(&bytes, root: root)
            }
            WorkProgress.advance(piece.count * MemoryLayout<Element>.stride, .bytesSent)
        }
    }
}
