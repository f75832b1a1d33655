/* The insides of the opaque handles. With the structs complete, Swift imports each handle as a pointer type of its
 * own and the compiler refuses a swap of two; the magic number refuses junk and destroyed handles at run time. */
#ifndef MAXLINEAR_HANDLES_H
#define MAXLINEAR_HANDLES_H

#include "maxlinear.h"

#define MXL_LAYER_MAGIC 0x6d786c206c617972ull        /* "mxl layr" */
#define MXL_WEIGHTS_MAGIC 0x6d786c2077676874ull      /* "mxl wght" */
#define MXL_COMMUNICATOR_MAGIC 0x6d786c20636f6d6dull /* "mxl comm" */

struct mxl_layer {
  uint64_t magic;
  const void *object; /* retained Swift object */
};

struct mxl_weights {
  uint64_t magic;
  const void *object;
};

struct mxl_communicator {
  uint64_t magic;
  const void *object;
};

#endif
