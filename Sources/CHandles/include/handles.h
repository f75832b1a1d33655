/* The live handles. With the structs complete, Swift imports each kind as a pointer type of its own and the compiler refuses a swap of two.
 *
 * A handle is a number that looks like an address and is never followed:
 *
 *   bits 63..46    45     44..42      41..24       23..4     3..0
 *        0         1       kind     generation     index      0
 *
 * index says where in the table its object is, generation how often that place was used before: what is destroyed never comes again, so a
 * stale handle is refused although its place is taken. Linux puts no memory at such addresses unless a process has more than 16 TiB mapped;
 * an address there would have to be that of a live handle to be taken for one. */
#ifndef MAXLINEAR_HANDLES_H
#define MAXLINEAR_HANDLES_H

#include "maxlinear.h"

/* Never read. */
struct mxl_layer {
  uint64_t number;
};

struct mxl_weights {
  uint64_t number;
};

struct mxl_communicator {
  uint64_t number;
};

/* Up to 7. */
typedef enum mxlh_kind { MXLH_LAYER = 0, MXLH_WEIGHTS = 1, MXLH_COMMUNICATOR = 2, MXLH_KINDS } mxlh_kind;

#define MXLH_INDEX_BITS 20
#define MXLH_CHUNK_BITS 10 /* places of the table are made so many at a time, and stay */

typedef struct mxlh_place {
  uint64_t handle; /* 0 while the place is free; written last when it is taken */
  const void *object;
  uint32_t generation;
  uint32_t next_free; /* index + 1 */
} mxlh_place;

extern mxlh_place *mxlh_chunks[1 << (MXLH_INDEX_BITS - MXLH_CHUNK_BITS)];

/* The object of a live handle of that kind; NULL for whatever else the pointer is. Takes no lock. */
static inline const void *mxlh_find(const void *handle, mxlh_kind kind) {
  uint64_t value = (uint64_t)(uintptr_t)handle;
  if (value >> 42 != (8 | (uint64_t)kind)) return NULL;
  uint64_t index = value >> 4 & ((1 << MXLH_INDEX_BITS) - 1);
  const mxlh_place *chunk = __atomic_load_n(&mxlh_chunks[index >> MXLH_CHUNK_BITS], __ATOMIC_ACQUIRE);
  if (chunk == NULL) return NULL;
  const mxlh_place *place = &chunk[index & ((1 << MXLH_CHUNK_BITS) - 1)];
  return __atomic_load_n(&place->handle, __ATOMIC_ACQUIRE) == value ? place->object : NULL;
}

/* A new handle of an object; NULL when memory or the table's places ran out. */
void *mxlh_add(mxlh_kind kind, const void *object);

/* Ends a handle. Its object; NULL, and nothing changes, when it is none of that kind that is live. Of two that end it, one gets the object. */
const void *mxlh_remove(const void *handle, mxlh_kind kind);

/* Whether a pointer that mxlh_find did not find was a handle of that kind once. */
int mxlh_was(const void *handle, mxlh_kind kind);

#endif
