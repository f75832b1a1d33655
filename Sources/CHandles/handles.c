#include "handles.h"

#include <pthread.h>
#include <stdlib.h>

_Static_assert(sizeof(void *) == 8, "handles are 46 bits");

enum { CHUNK = 1 << MXLH_CHUNK_BITS, PLACES = 1 << MXLH_INDEX_BITS, GENERATIONS = 1 << 18 };

mxlh_place *mxlh_chunks[PLACES / CHUNK];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t first_free; /* index + 1 */
static uint32_t place_count;

/* A child process finds the lock free after fork, and the table whole. */
static void lock_table(void) { pthread_mutex_lock(&lock); }
static void unlock_table(void) { pthread_mutex_unlock(&lock); }
static void watch_forks(void) { pthread_atfork(lock_table, unlock_table, unlock_table); }

static mxlh_place *place_at(uint32_t index) { return &mxlh_chunks[index / CHUNK][index % CHUNK]; }

/* A free place; NULL when there is none. Under the lock. */
static mxlh_place *take_place(uint32_t *index) {
  if (first_free != 0) {
    *index = first_free - 1;
    mxlh_place *place = place_at(*index);
    first_free = place->next_free;
    return place;
  }
  if (place_count == PLACES) return NULL;
  if (place_count % CHUNK == 0) {
    mxlh_place *chunk = calloc(CHUNK, sizeof *chunk);
    if (chunk == NULL) return NULL;
    __atomic_store_n(&mxlh_chunks[place_count / CHUNK], chunk, __ATOMIC_RELEASE);
  }
  *index = place_count++;
  return place_at(*index);
}

void *mxlh_add(mxlh_kind kind, const void *object) {
  uint32_t index = 0;
  uint64_t handle = 0;
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  lock_table();
  mxlh_place *place = take_place(&index);
  if (place != NULL) {
    handle = (8 | (uint64_t)kind) << 42 | (uint64_t)place->generation++ << 24 | (uint64_t)index << 4;
    place->object = object;
    __atomic_store_n(&place->handle, handle, __ATOMIC_RELEASE);
  }
  unlock_table();
  return (void *)(uintptr_t)handle;
}

const void *mxlh_remove(const void *handle, mxlh_kind kind) {
  lock_table();
  const void *object = mxlh_find(handle, kind);
  if (object != NULL) {
    uint32_t index = (uint32_t)((uint64_t)(uintptr_t)handle >> 4) & (PLACES - 1);
    mxlh_place *place = place_at(index);
    __atomic_store_n(&place->handle, 0, __ATOMIC_RELEASE);
    place->object = NULL;
    /* A place that has been through all generations is not used again. */
    if (place->generation < GENERATIONS) {
      place->next_free = first_free;
      first_free = index + 1;
    }
  }
  unlock_table();
  return object;
}

int mxlh_was(const void *handle, mxlh_kind kind) {
  uint64_t value = (uint64_t)(uintptr_t)handle;
  uint32_t index = (uint32_t)(value >> 4) & (PLACES - 1);
  if (value >> 42 != (8 | (uint64_t)kind) || (value & 15) != 0) return 0;
  lock_table();
  int was = index < place_count && (value >> 24 & (GENERATIONS - 1)) < place_at(index)->generation;
  unlock_table();
  return was;
}
