/// The C shim over MPI: the only target that includes mpi.h.
///
/// Why it exists: MPI's handles (MPI_COMM_WORLD, MPI_FLOAT, MPI_SUM, MPI_IN_PLACE, ...) and many of its constants are
/// macros around casts of pointers to incomplete types, which Swift cannot import. So every function here hides at
/// least one handle; only ints, sizes and plain pointers come out.
///
/// Every function returns 0 for success, a positive MPI error code, or one of the negative CMPI_ERROR_ codes below.
/// All of them work on one private duplicate of MPI_COMM_WORLD with MPI_ERRORS_RETURN set: MPI's default handler
/// would end the job before any code comes back. Counts are elements and may exceed INT_MAX: calls are cut into
/// pieces of at most `cmpi_chunk_limit` elements. Only the thread that started MPI may call (MPI_THREAD_FUNNELED).
#ifndef CMPI_H
#define CMPI_H

#include <stddef.h>
#include <stdint.h>

/// Operation codes of the reductions.
enum { CMPI_SUM = 0, CMPI_MINIMUM = 1, CMPI_MAXIMUM = 2 };

/// The shim's own errors; MPI's are positive.
enum {
    CMPI_ERROR_BAD_ARGUMENT = -1,     ///< an operation code, tag or transfer that does not exist
    CMPI_ERROR_NO_REQUEST = -2,       ///< all request slots are taken, or the message has too many pieces for one
    CMPI_ERROR_SHORT_MESSAGE = -3,    ///< a peer sent fewer elements than this rank expected
    CMPI_ERROR_NOT_RUNNING = -4,      ///< MPI has not been started, or has been finalized
    CMPI_ERROR_ALREADY_STARTED = -5,  ///< MPI can be started once in the life of a process
    CMPI_ERROR_NO_THREADS = -6,       ///< the library allows no other threads in the process
};

/// Starts MPI. Not from Swift: the thread levels and the communicator handles are macros.
int cmpi_init(void);

/// Ends MPI. Every rank must call it. Not from Swift: frees the private communicators (handles).
int cmpi_finalize(void);

/// This process's number and the number of processes. Not from Swift: communicator handle.
int cmpi_world(int *rank, int *size);

/// The same among the ranks that share this host's memory. Not from Swift: MPI_COMM_TYPE_SHARED, handles.
int cmpi_local(int *rank, int *size);

/// This host's name, NUL-terminated, cut to `capacity`. Not from Swift: MPI_MAX_PROCESSOR_NAME sizes the buffer.
int cmpi_host_name(char *name, size_t capacity);

/// The library's name and version (its first line), NUL-terminated, cut to `capacity`; callable before `cmpi_init`.
/// Not from Swift: MPI_MAX_LIBRARY_VERSION_STRING sizes the buffer.
int cmpi_version(char *text, size_t capacity);

/// The text of a code returned by any of these functions, NUL-terminated, cut to `capacity`.
/// Not from Swift: MPI_MAX_ERROR_STRING sizes the buffer; this also knows the shim's own codes.
void cmpi_error_string(int code, char *text, size_t capacity);

/// Combines `count` values of all ranks in place, element by element; every rank gets the result.
/// Not from Swift: MPI_IN_PLACE, datatype and operation handles.
int cmpi_allreduce_float(float *values, size_t count, int operation);
int cmpi_allreduce_double(double *values, size_t count, int operation);
int cmpi_allreduce_int64(int64_t *values, size_t count, int operation);

/// Start to send to `peer`, or to receive from it, and return at once; `*request` names the transfer until `cmpi_wait`.
/// The memory must stay where it is, and untouched until then. Messages of one tag, 0 or 1, keep their order.
/// Not from Swift: MPI_Request and datatype handles.
int cmpi_start_send_float(const float *values, size_t count, int peer, int tag, int *request);
int cmpi_start_receive_float(float *values, size_t count, int peer, int tag, int *request);

/// Waits for the end of a transfer, which gives its name back. Not from Swift: MPI_Request and MPI_Status.
int cmpi_wait(int request);

/// Copies `count` bytes of `root` to every rank. Not from Swift: datatype handle.
int cmpi_broadcast(void *bytes, size_t count, int root);

/// Returns when every rank has arrived. Not from Swift: communicator handle.
int cmpi_barrier(void);

/// Collects one number of each rank at `root`, in rank order (`counts` has one place a rank there, else unused).
/// Not from Swift: datatype handle.
int cmpi_gather_counts(int64_t count, int64_t *counts, int root);

/// Collects `count` bytes of each rank at `root`, one after the other in rank order; `counts` as gathered by
/// `cmpi_gather_counts`. `received` and `counts` are used at `root` only. Made of sends and receives, because the
/// displacements of MPI_Gatherv are ints. Not from Swift: datatype and status handles.
int cmpi_gather_bytes(const void *bytes, size_t count, void *received, const int64_t *counts, int root);

/// Sends to `peer` and receives from it, at the same time. The peer must expect and send the matching counts.
/// `sending` and `receiving` must not overlap. Not from Swift: datatype and status handles.
int cmpi_exchange_float(const float *sending, size_t send_count, float *receiving, size_t receive_count, int peer);

/// Ends the whole job with this exit code; does not return. Not from Swift: communicator handle.
_Noreturn void cmpi_abort(int code);

/// The most elements that one MPI call may carry: INT_MAX, and in tests, whose small buffers are to be cut too, less.
/// Every rank must have the same.
extern size_t cmpi_chunk_limit __attribute__((swift_attr("nonisolated(unsafe)")));

#endif
