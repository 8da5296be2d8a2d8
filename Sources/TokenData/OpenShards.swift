import Basics
import Glibc
import Synchronization

/// The shards of a stream that are open: the ones used last, so that any number of shards gets along with any
/// `ulimit -n`.
final class OpenShards: Sendable {
    private let files = Mutex<[(shard: ObjectIdentifier, file: InputFile)]>([])
    /// A part of what the process may have open: MPI wants files too, and a run has two streams.
    private let limit = max(2, min(128, sysconf(Int32(_SC_OPEN_MAX)) / 8))

    /// A shard's open file, opened by `open` where it is not one of those used last.
    func file(of shard: TokenShard, open: () throws -> InputFile) throws -> InputFile {
        let key = ObjectIdentifier(shard)
        let known = files.withLock { files -> InputFile? in
            guard let place = files.lastIndex(where: { $0.shard == key }) else { return nil }
            if place < files.count - 1 { files.append(files.remove(at: place)) }
            return files.last?.file
        }
        if let known { return known }
        let file = try open()
        files.withLock { files in
            if files.count >= limit { files.removeFirst() }
            files.append((key, file))
        }
        return file
    }
}
