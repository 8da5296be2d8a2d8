/// The C shim over MPI: the only target that includes mpi.h.
///
/// Why it exists: MPI's handles (MPI_COMM_WORLD, MPI_FLOAT, MPI_SUM, MPI_IN_PLACE, MPI_Request, ...) and many of its
/// constants are macros around casts of pointers to incomplete types, which Swift cannot import. So every function here
/// hides at least one handle or sizes a buffer by such a constant; only ints, sizes and plain pointers come out.
///
/// Every function returns 0 for success, a positive MPI error code, or one of the negative CMPI_ERROR_ codes below.
/// All of them work on one private duplicate of MPI_COMM_WORLD with MPI_ERRORS_RETURN set: MPI's default handler
/// would end the job before any code comes back. Counts are elements and may exceed INT_MAX: calls are cut into
/// pieces of at most `cmpi_chunk_limit` elements. Only the thread that started MPI may call (MPI_THREAD_FUNNELED).
#ifndef CMPI_H
#define CMPI_H

#include <stddef.h>

/// Codes of the reductions' operations and of the numbers that they combine.
enum { CMPI_SUM = 0, CMPI_MINIMUM = 1, CMPI_MAXIMUM = 2 };
enum { CMPI_FLOAT = 0, CMPI_DOUBLE = 1, CMPI_INT64 = 2 };

/// The shim's own errors; MPI's are positive.
enum {
    CMPI_ERROR_BAD_ARGUMENT = -1,     ///< an operation code, type, tag, transfer or length that does not exist
    CMPI_ERROR_NO_REQUEST = -2,       ///< all request slots are taken, or the message has too many pieces for one
    CMPI_ERROR_SHORT_MESSAGE = -3,    ///< a peer sent fewer elements than this rank expected
    CMPI_ERROR_NOT_RUNNING = -4,      ///< MPI has not been started, or has been finalized
    CMPI_ERROR_ALREADY_STARTED = -5,  ///< MPI can be started once in the life of a process
    CMPI_ERROR_NO_THREADS = -6,       ///< the library allows no other threads in the process
};

/// Starts MPI.
int cmpi_init(void);

/// Ends MPI. Every rank must call it.
int cmpi_finalize(void);

/// This process's number and the number of processes, and the same among the ranks that share this host's memory.
int cmpi_ranks(int *rank, int *size, int *local_rank, int *local_size);

/// The library's name and version, such as `Open MPI v4.1.4`; callable before `cmpi_init`.
const char *cmpi_version(void);

/// The text of a code returned by any of these functions, valid until the next call.
const char *cmpi_error_string(int code);

/// Combines `count` values of all ranks in place, element by element; every rank gets the result.
int cmpi_allreduce(void *values, size_t count, int number_type, int operation);

/// Starts to send to `peer`, or to receive from it, and returns at once; `*request` names the transfer until `cmpi_wait`.
/// The memory must stay where it is, and untouched until then. Messages of one tag, 0 or 1, keep their order.
int cmpi_start(float *values, size_t count, int peer, int tag, int is_send, int *request);

/// Says whether a transfer has ended, and lets messages move on; its name stays taken until `cmpi_wait`.
int cmpi_test(int request, int *is_over);

/// Waits for the end of a transfer, which gives its name back.
int cmpi_wait(int request);

/// Copies `count` bytes of `root` to every rank.
int cmpi_broadcast(void *bytes, size_t count, int root);

/// Collects `count` bytes of each rank at `root`, one after the other in rank order; `received` is used there only. All
/// ranks give as many, at most INT_MAX.
int cmpi_gather(const void *bytes, size_t count, void *received, int root);

/// Returns when every rank has arrived.
int cmpi_barrier(void);

/// Ends the whole job with this exit code; does not return.
_Noreturn void cmpi_abort(int code);

/// The most elements that one MPI call may carry: INT_MAX, and in tests, whose small buffers are to be cut too, less.
/// Every rank must have the same.
extern size_t cmpi_chunk_limit __attribute__((swift_attr("nonisolated(unsafe)")));

#endif
