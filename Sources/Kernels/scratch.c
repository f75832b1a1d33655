/* A pool of arenas: one slot an idle arena, taken and put back by one atomic exchange. Arenas grow to the largest call
 * that came and stay, up to KEPT_BYTES each. */
#include "scratch.h"

#include "contract.h"
#include "kernels.h"

#include <stdatomic.h>

#define SLOTS 64
#define KEPT_BYTES ((size_t)16 << 20)

/* Lies at the start of an arena's allocation. */
typedef struct holder {
  size_t bytes; /* behind the header */
  char pad[MXLK_ALIGNMENT - sizeof(size_t)];
} holder;
_Static_assert(sizeof(holder) == MXLK_ALIGNMENT, "the arena behind its header is aligned");

static _Atomic(holder *) idle[SLOTS];

int mxlk_arena_take(size_t bytes, mxlk_arena *arena) {
  holder *found = NULL;
  for (int i = 0; i < SLOTS && found == NULL; i++) {
    if (atomic_load_explicit(&idle[i], memory_order_relaxed) != NULL)
      found = atomic_exchange_explicit(&idle[i], NULL, memory_order_acquire);
  }
  if (found == NULL || found->bytes < bytes) {
    mxlk_free(found);
    size_t size = mxlk_align_up(bytes < 4096 ? 4096 : bytes);
    if (size < bytes || size > (size_t)PTRDIFF_MAX - sizeof(holder)) return 0;
    found = mxlk_allocate(size + sizeof(holder));
    if (found == NULL) return 0;
    found->bytes = size;
  }
  arena->holder = found;
  arena->memory = (char *)(found + 1);
  return 1;
}

void mxlk_arena_return(mxlk_arena *arena) {
  holder *returned = arena->holder;
  for (int i = 0; i < SLOTS && returned->bytes <= KEPT_BYTES; i++) {
    holder *empty = NULL;
    if (atomic_load_explicit(&idle[i], memory_order_relaxed) == NULL &&
        atomic_compare_exchange_strong_explicit(&idle[i], &empty, returned, memory_order_release, memory_order_relaxed))
      return;
  }
  mxlk_free(returned);
}
