import Collectives
import Kernels

/// Gives every rank the values that one rank has.
package enum ParameterBroadcast {
    /// Copies `root`'s buffer to every rank, in pieces of `chunkElements`.
    /// - Precondition: the buffers of all ranks have the same count.
    package static func broadcast<Element: BitwiseCopyable>(
        _ buffer: Buffer<Element>, from root: Int = 0, chunkElements: Int = 1 << 22, on communicator: any Communicator
    ) throws(CollectiveError) {
        precondition(chunkElements >= 1)
        for start in stride(from: 0, to: buffer.count, by: chunkElements) {
            let range = start..<min(start + chunkElements, buffer.count)
            try buffer.withMutableSpan(range) { (values) throws(CollectiveError) in
                var bytes = values.mutableBytes
                try communicator.broadcast(&bytes, root: root)
            }
        }
    }
}
