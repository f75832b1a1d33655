/* Writing what nobody reads soon. */
#ifndef MXLK_STREAM_H
#define MXLK_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Copies past the caches, to a multiple of 16 bytes: lines that are not read before they are written save a third of the traffic. Others see
 * the bytes after an atomic_thread_fence(memory_order_seq_cst) of this thread. */
static inline void mxlk_stream(const char *restrict from, size_t bytes, char *restrict to) {
  typedef uint64_t vector __attribute__((vector_size(16)));
  size_t whole = bytes / sizeof(vector) * sizeof(vector);
  for (size_t i = 0; i < whole; i += sizeof(vector)) {
    vector one;
    memcpy(&one, from + i, sizeof one);
    __builtin_nontemporal_store(one, (vector *)(void *)(to + i));
  }
  memcpy(to + whole, from + whole, bytes - whole);
}

#endif
