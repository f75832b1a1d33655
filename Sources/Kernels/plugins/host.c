/* What the library offers a plugin: memory, a log that is kept, threads. */
#define _GNU_SOURCE
#include "contract.h"
#include "parallel.h"
#include "plugins.h"

#include <pthread.h>
#include <string.h>

/* The last messages of a plugin; more push the oldest out. */
#define MESSAGES 16
#define MESSAGE_BYTES 256

typedef struct message {
  int32_t level;
  char text[MESSAGE_BYTES];
} message;

typedef struct held_host {
  mxl_host host;
  pthread_mutex_t lock;
  uint64_t count; /* logged so far */
  message messages[MESSAGES];
} held_host;

static held_host *held(const mxl_host *host) { return host == NULL ? NULL : host->library; }

static void *host_allocate(const mxl_host *host, size_t bytes) {
  (void)host;
  return mxlk_allocate(bytes);
}

static void host_free(const mxl_host *host, void *memory) {
  (void)host;
  mxlk_free(memory);
}

/* As much of the text as fits, whole characters of UTF-8. */
static void copy_text(const char *from, char *to, size_t capacity) {
  size_t length = strnlen(from, capacity);
  if (length == capacity) {
    length--;
    while (length > 0 && ((unsigned char)from[length] & 0xc0) == 0x80) length--;
  }
  memcpy(to, from, length);
  to[length] = 0;
}

static void host_log(const mxl_host *host, int32_t level, const char *text) {
  held_host *all = held(host);
  if (all == NULL || text == NULL) return;
  pthread_mutex_lock(&all->lock);
  message *next = &all->messages[all->count++ % MESSAGES];
  next->level = level;
  copy_text(text, next->text, sizeof next->text);
  pthread_mutex_unlock(&all->lock);
}

typedef struct loop {
  int64_t count;
  void (*body)(void *context, int64_t begin, int64_t end);
  void *context;
  int is_loading; /* whoever asked is loading a plugin */
} loop;

static void loop_thread(void *context, const mxlk_team *team) {
  const loop *all = context;
  int64_t begin, end;
  mxlk_share(team, all->count, &begin, &end);
  if (begin >= end) return;
  int before = mxlk_plugin_is_loading();
  mxlk_plugin_set_loading(all->is_loading);
  all->body(all->context, begin, end);
  mxlk_plugin_set_loading(before);
}

static void host_parallel_for(const mxl_host *host, int64_t count,
                              void (*body)(void *context, int64_t begin, int64_t end), void *context) {
  (void)host;
  if (count < 1 || body == NULL) return;
  loop all = {count, body, context, mxlk_plugin_is_loading()};
  int64_t threads = mxlk_threads();
  mxlk_parallel((int32_t)(count < threads ? count : threads), loop_thread, &all);
}

const mxl_host *mxlk_host_create(void) {
  held_host *all = mxlk_allocate(sizeof *all);
  if (all == NULL) return NULL;
  memset(all, 0, sizeof *all);
  if (pthread_mutex_init(&all->lock, NULL) != 0) {
    mxlk_free(all);
    return NULL;
  }
  all->host = (mxl_host){
      .struct_size = sizeof(mxl_host),
      .abi_major = MXL_PLUGIN_ABI_MAJOR,
      .abi_minor = MXL_PLUGIN_ABI_MINOR,
      .library = all,
      .allocate = host_allocate,
      .free = host_free,
      .log = host_log,
      .parallel_for = host_parallel_for,
  };
  return &all->host;
}

size_t mxlk_plugin_log(const mxl_host *host, size_t index, char *text, size_t capacity, int32_t *level) {
  held_host *all = held(host);
  if (all == NULL) return 0;
  pthread_mutex_lock(&all->lock);
  size_t kept = all->count < MESSAGES ? (size_t)all->count : MESSAGES;
  if (index < kept && capacity > 0) {
    const message *wanted = &all->messages[(all->count - kept + index) % MESSAGES];
    copy_text(wanted->text, text, capacity);
    *level = wanted->level;
  }
  pthread_mutex_unlock(&all->lock);
  return kept;
}

void mxlk_host_last(const mxl_host *host, char *text, size_t capacity) {
  int32_t level = 0;
  text[0] = 0;
  size_t kept = mxlk_plugin_log(host, SIZE_MAX, text, capacity, &level);
  if (kept > 0) mxlk_plugin_log(host, kept - 1, text, capacity, &level);
}
