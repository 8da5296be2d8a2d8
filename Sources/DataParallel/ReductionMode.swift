/// How the gradients of the ranks are summed (`--reduction`).
package enum ReductionMode: String, CaseIterable, Codable, Sendable {
    /// Along the canonical binary tree over ranks: the same bits at every number of ranks that divides the batch.
    case exact
    /// By MPI_Allreduce, in the order that the library chooses.
    case mpi
}
