/* Communicators: the processes that share a layer, and how they reach each other. */
#ifndef MAXLINEAR_COMMUNICATOR_H
#define MAXLINEAR_COMMUNICATOR_H

#include "status.h"
#include "version.h"

#include <stdint.h>

/* A group of `size` processes, each with a rank, 0 to size - 1. A layer whose options name one is divided among them: each packs and computes its
 * own shard alone (mxl_distributed_mlp_create, mxl_column_parallel_create, mxl_row_parallel_create).
 *
 * Creating one, preparing such a layer (also loading into a prepared one) and calling it are collective: all ranks do the same ones in the same
 * order, from any thread, one at a time; the library holds threads of one rank apart. In each the ranks first tell each other what they are about
 * to do. Where they disagree, or one of them cannot, all of them get an error that names it, none has changed anything, and they may go on. Where
 * one has ended or does not come in the communicator's time, or fails later than that, the others get MXL_COMMUNICATION, and so does every later
 * call. */
typedef struct mxl_communicator mxl_communicator;

MXL_BEGIN

/* This process's end of a communicator of that kind, which a plugin has brought: "mpi" of plugins/mpi. native is what the kind documents, such as
 * an MPI_Comm *; NULL for the group of all processes. Collective; compares the ranks' library versions.
 * Errors: MXL_INVALID_ARGUMENT (NULL, no kind of that name), MXL_COMMUNICATION, what the kind returns. */
mxl_status mxl_communicator_create(const char *kind, const void *native, mxl_communicator **communicator,
                                   mxl_error *error);

/* This process's rank, and the number of processes. Either pointer may be NULL. */
mxl_status mxl_communicator_rank(const mxl_communicator *communicator, int32_t *rank, int32_t *size, mxl_error *error);

/* This process cannot go on, such as without its checkpoint: the others' next calls fail with a message that names this rank and says why,
 * instead of waiting for it. The communicator is of no use afterwards. message: UTF-8. Any thread; waits
 * for a call of this process that is running. */
mxl_status mxl_communicator_abort(mxl_communicator *communicator, const char *message, mxl_error *error);

/* Ends the handle; layers that have the communicator keep it. NULL is fine. */
void mxl_communicator_destroy(mxl_communicator *communicator);

MXL_END

#endif
