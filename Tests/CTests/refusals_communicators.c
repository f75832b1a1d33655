#include "refusals.h"

enum { IN = 16, OUT = 8 };

/* No plugin is loaded here: Tests/DistributedTests has what needs one. */
void refuse_communicators(void) {
  mxl_communicator *none = (mxl_communicator *)16, *made = none;
  int32_t rank = 77, size = 77;
  static uint64_t zeros[8];
  mxl_communicator *junk = (mxl_communicator *)(void *)zeros;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_communicator_create(NULL, NULL, &made, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_communicator_create("mpi", NULL, NULL, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_communicator_create("mpi", NULL, &made, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_communicator_create("", NULL, &made, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_communicator_create("\xff", NULL, &made, error));
  CHECK(made == none);
  REFUSED(MXL_INVALID_HANDLE, mxl_communicator_rank(NULL, &rank, &size, error));
  REFUSED(MXL_INVALID_HANDLE, mxl_communicator_rank(junk, &rank, &size, error));
  CHECK(rank == 77 && size == 77);
  REFUSED(MXL_INVALID_HANDLE, mxl_communicator_abort(NULL, "why", error));
  REFUSED(MXL_INVALID_HANDLE, mxl_communicator_abort(junk, "why", error));
  mxl_communicator_destroy(NULL);
  mxl_communicator_destroy(junk);

  mxl_layer *layer = (mxl_layer *)16;
  const mxl_linear_options linear = {.struct_size = sizeof linear, .dtype = MXL_FLOAT32, .in_dim = IN, .out_dim = OUT};
  const mxl_parallel_options parallel = {.struct_size = sizeof parallel, .linear = &linear, .communicator = junk};
  REFUSED(MXL_INVALID_HANDLE, mxl_column_parallel_create(&parallel, &layer, error));
  REFUSED(MXL_INVALID_HANDLE, mxl_row_parallel_create(&parallel, &layer, error));
  const mxl_mlp_options mlp = {.struct_size = sizeof mlp,
                               .dtype = MXL_FLOAT32,
                               .hidden_dim = IN,
                               .feed_forward_length = OUT,
                               .communicator = junk};
  REFUSED(MXL_INVALID_HANDLE, mxl_distributed_mlp_create(&mlp, &layer, error));
  REFUSED(MXL_INVALID_HANDLE, mxl_mlp_create(&mlp, &layer, error));
  CHECK(layer == (mxl_layer *)16);
}
