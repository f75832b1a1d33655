/* Scratch memory for calls: arenas that are kept between calls, taken by one call at a time. */
#ifndef MXLK_SCRATCH_H
#define MXLK_SCRATCH_H

#include <stddef.h>

typedef struct mxlk_arena {
  char *memory; /* aligned to 64 bytes, contents undefined */
  void *holder;
} mxlk_arena;

/* An arena of at least `bytes` bytes; false when memory is refused. */
int mxlk_arena_take(size_t bytes, mxlk_arena *arena);
void mxlk_arena_return(mxlk_arena *arena);

#endif
