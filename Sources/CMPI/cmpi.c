// The C shim over MPI; cmpi.h tells the rules. Every rank cuts a buffer into the same pieces, because the pieces
// depend on the count and the limit alone.
#include "cmpi.h"

#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(float) == 4 && sizeof(double) == 8, "MPI_FLOAT and MPI_DOUBLE are Swift's Float and Double");
_Static_assert(sizeof(int) == 4, "MPI counts are 32-bit ints, Swift's Int32");
_Static_assert(sizeof(size_t) == 8, "counts above INT_MAX need a 64-bit size_t");

enum { request_slots = 512, pieces_per_request = 64, transfer_tag = 2, transfer_tags = 2 };

static MPI_Comm world = MPI_COMM_NULL;
static MPI_Comm local = MPI_COMM_NULL;
size_t cmpi_chunk_limit = INT_MAX;

static struct {
    MPI_Request pieces[pieces_per_request];
    int count;        // 0: free
    size_t expected;  // elements of a receive, which a shorter message must not satisfy; 0 for what has no length
} requests[request_slots];

#define CHECK(call)                          \
    do {                                     \
        int code_ = (call);                  \
        if (code_ != MPI_SUCCESS) return code_; \
    } while (0)
#define CHECK_RUNNING() \
    if (world == MPI_COMM_NULL) return CMPI_ERROR_NOT_RUNNING

static size_t piece(size_t remaining) { return remaining < cmpi_chunk_limit ? remaining : cmpi_chunk_limit; }

// Start and end

int cmpi_init(void) {
    int started = 0;
    CHECK(MPI_Initialized(&started));
    if (started) return CMPI_ERROR_ALREADY_STARTED;
    int provided = MPI_THREAD_SINGLE;
    CHECK(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided));
    if (provided < MPI_THREAD_FUNNELED) {
        MPI_Finalize();
        return CMPI_ERROR_NO_THREADS;
    }
    // Calls without a communicator report to MPI_COMM_WORLD's handler.
    CHECK(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    CHECK(MPI_Comm_dup(MPI_COMM_WORLD, &world));
    CHECK(MPI_Comm_set_errhandler(world, MPI_ERRORS_RETURN));
    CHECK(MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local));
    return MPI_Comm_set_errhandler(local, MPI_ERRORS_RETURN);
}

int cmpi_finalize(void) {
    CHECK_RUNNING();
    CHECK(MPI_Comm_free(&local));
    CHECK(MPI_Comm_free(&world));
    return MPI_Finalize();
}

_Noreturn void cmpi_abort(int code) {
    fflush(NULL);
    if (world != MPI_COMM_NULL) MPI_Abort(MPI_COMM_WORLD, code);
    _Exit(code);
}

// Questions

int cmpi_ranks(int *rank, int *size, int *local_rank, int *local_size) {
    CHECK_RUNNING();
    CHECK(MPI_Comm_rank(world, rank));
    CHECK(MPI_Comm_size(world, size));
    CHECK(MPI_Comm_rank(local, local_rank));
    return MPI_Comm_size(local, local_size);
}

const char *cmpi_version(void) {
    static char text[MPI_MAX_LIBRARY_VERSION_STRING + 1];
    int length = 0;
    MPI_Get_library_version(text, &length);
    // `Open MPI v4.1.4, package: …`: the first part is enough.
    text[strcspn(text, ",\n")] = 0;
    return text;
}

const char *cmpi_error_string(int code) {
    static const char *const own[] = {
        "",
        "an argument of the MPI shim is out of range",
        "too many non-blocking operations are under way",
        "the peer sent fewer elements than expected: the ranks are not in the same step",
        "MPI is not running in this process",
        "MPI was started before in this process; it can be started once only",
        "this MPI library has no MPI_THREAD_FUNNELED; use a build with thread support",
    };
    if (code < 0) return code >= CMPI_ERROR_NO_THREADS ? own[-code] : "unknown error";
    static char text[MPI_MAX_ERROR_STRING + 1];
    int length = 0;
    return MPI_Error_string(code, text, &length) == MPI_SUCCESS ? text : "unknown MPI error";
}

// Collectives

int cmpi_allreduce(void *values, size_t count, int number_type, int operation) {
    CHECK_RUNNING();
    if (number_type < CMPI_FLOAT || number_type > CMPI_INT64 || operation < CMPI_SUM || operation > CMPI_MAXIMUM)
        return CMPI_ERROR_BAD_ARGUMENT;
    const MPI_Datatype type =
        number_type == CMPI_FLOAT ? MPI_FLOAT : number_type == CMPI_DOUBLE ? MPI_DOUBLE : MPI_INT64_T;
    const MPI_Op op = operation == CMPI_SUM ? MPI_SUM : operation == CMPI_MINIMUM ? MPI_MIN : MPI_MAX;
    char *next = values;
    for (size_t left = count; left > 0;) {
        const size_t now = piece(left);
        CHECK(MPI_Allreduce(MPI_IN_PLACE, next, (int)now, type, op, world));
        next += now * (number_type == CMPI_FLOAT ? 4 : 8);
        left -= now;
    }
    return MPI_SUCCESS;
}

int cmpi_broadcast(void *bytes, size_t count, int root) {
    CHECK_RUNNING();
    char *next = bytes;
    for (size_t left = count; left > 0;) {
        const size_t now = piece(left);
        CHECK(MPI_Bcast(next, (int)now, MPI_BYTE, root, world));
        next += now;
        left -= now;
    }
    return MPI_SUCCESS;
}

int cmpi_gather(const void *bytes, size_t count, void *received, int root) {
    CHECK_RUNNING();
    if (count > INT_MAX) return CMPI_ERROR_BAD_ARGUMENT;
    return MPI_Gather(bytes, (int)count, MPI_BYTE, received, (int)count, MPI_BYTE, root, world);
}

int cmpi_barrier(void) {
    CHECK_RUNNING();
    return MPI_Barrier(world);
}

// Transfers

int cmpi_start(float *values, size_t count, int peer, int tag, int is_send, int *request) {
    CHECK_RUNNING();
    if (tag < 0 || tag >= transfer_tags) return CMPI_ERROR_BAD_ARGUMENT;
    int slot = 0;
    while (slot < request_slots && requests[slot].count > 0) slot++;
    // An empty buffer still takes one (empty) piece, so that its slot counts as taken.
    const size_t pieces = count == 0 ? 1 : (count - 1) / cmpi_chunk_limit + 1;
    if (slot == request_slots || pieces > pieces_per_request) return CMPI_ERROR_NO_REQUEST;
    for (size_t i = 0; i < pieces; i++) {
        float *from = values + i * cmpi_chunk_limit;
        const int now = (int)piece(count - i * cmpi_chunk_limit);
        MPI_Request *handle = &requests[slot].pieces[i];
        CHECK(is_send ? MPI_Isend(from, now, MPI_FLOAT, peer, transfer_tag + tag, world, handle)
                      : MPI_Irecv(from, now, MPI_FLOAT, peer, transfer_tag + tag, world, handle));
    }
    requests[slot].count = (int)pieces;
    requests[slot].expected = is_send ? 0 : count;
    *request = slot;
    return MPI_SUCCESS;
}

int cmpi_test(int request, int *is_over) {
    CHECK_RUNNING();
    if (request < 0 || request >= request_slots || requests[request].count == 0) return CMPI_ERROR_BAD_ARGUMENT;
    *is_over = 1;
    // Not MPI_Test, which would keep from cmpi_wait how much came.
    for (int i = 0; i < requests[request].count && *is_over; i++)
        CHECK(MPI_Request_get_status(requests[request].pieces[i], is_over, MPI_STATUS_IGNORE));
    return MPI_SUCCESS;
}

int cmpi_wait(int request) {
    CHECK_RUNNING();
    if (request < 0 || request >= request_slots || requests[request].count == 0) return CMPI_ERROR_BAD_ARGUMENT;
    const int count = requests[request].count;
    const size_t expected = requests[request].expected;
    requests[request].count = 0;
    size_t received = 0;
    for (int i = 0; i < count; i++) {
        // Not MPI_Waitall: Open MPI 4 waits in it for ever for a message that was too long and there before its receive.
        MPI_Status status;
        CHECK(MPI_Wait(&requests[request].pieces[i], &status));
        if (expected == 0) continue;
        int now = 0;
        CHECK(MPI_Get_count(&status, MPI_FLOAT, &now));
        received += (size_t)now;
    }
    return received == expected ? MPI_SUCCESS : CMPI_ERROR_SHORT_MESSAGE;
}
