/* A plugin that uses all of its host in its entry, and threads where it must not get any; what it finds goes to its log. With CALLS_BACK, and
 * linked with libmaxlinear, it calls the library while it is being loaded. */
#define _GNU_SOURCE
#include <maxlinear/plugin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#ifdef CALLS_BACK
#include <maxlinear.h>
#endif

enum { COUNT = 10007 };

static const mxl_host *library;
static _Atomic int visits[COUNT], wrong;

static void say(const char *what, int good) {
  char text[64];
  snprintf(text, sizeof text, "%s: %s", what, good ? "yes" : "no");
  library->log(library, good ? MXL_LOG_INFO : MXL_LOG_ERROR, text);
}

/* Of the threads of an entry that calls the library, each does so, too. */
static int calls_back(void) {
#ifdef CALLS_BACK
  mxl_error error = MXL_ERROR_INIT;
  int64_t elements = 0;
  return mxl_encoding_block("Q4_K", &elements, NULL, &error) == MXL_OK && elements == 256 &&
         mxl_plugin_load(CALLS_BACK, &error) == MXL_UNSUPPORTED;
#else
  return 1;
#endif
}

static void visit(void *context, int64_t begin, int64_t end) {
  if (context != (void *)visits || begin >= end || !calls_back()) wrong++;
  for (int64_t i = begin; i < end; i++) visits[i]++;
}

static void check_threads(void) {
  int once = 1;
  library->parallel_for(library, COUNT, visit, (void *)visits);
  for (int i = 0; i < COUNT; i++) once &= visits[i] == 1;
  say("each index once", once && wrong == 0);
  library->parallel_for(library, 0, visit, (void *)visits);
  library->parallel_for(library, -5, visit, (void *)visits);
  library->parallel_for(library, 5, NULL, NULL);
  say("nothing for no indices", wrong == 0);
}

static void check_memory(void) {
  char *memory = library->allocate(library, 1000);
  int aligned = memory != NULL && (uintptr_t)memory % 64 == 0;
  if (memory != NULL) memset(memory, 1, 1000);
  library->free(library, memory);
  library->free(library, NULL);
  say("memory",
      aligned && library->allocate(library, 0) == NULL && library->allocate(library, (size_t)1 << 62) == NULL);
}

/* Runs on the library's threads: parts must come to this thread, all of them. */
static void note_thread(void *context, int64_t begin, int64_t end) {
  if (!pthread_equal(*(pthread_t *)context, pthread_self()) || begin != 0 || end != 64) wrong++;
}

static void dequantize(const void *blocks, int64_t elements, float *values) {
  pthread_t self = pthread_self();
  library->parallel_for(library, 64, note_thread, &self);
  for (int64_t i = 0; i < elements; i++) values[i] = wrong != 0 ? 0.0f / 0.0f : ((const int8_t *)blocks)[i];
}

static const mxl_encoding encoding = {sizeof encoding, MXL_UINT8, "HOST", 1, 1, dequantize, NULL, 0};
static const mxl_encoding *const encodings[] = {&encoding};
static const mxl_plugin plugin = {sizeof plugin, MXL_PLUGIN_ABI_MAJOR, 0, 0, "host", encodings, 1, NULL, 0, NULL, 0};

MXL_PLUGIN_EXPORT const mxl_plugin *mxl_plugin_entry(const mxl_host *host) {
  library = host;
  for (int i = 0; i < 100; i++) host->log(host, MXL_LOG_INFO, "pushed out");
  host->log(host, MXL_LOG_INFO, NULL);
  check_threads();
  check_memory();
  say("versions", host->struct_size >= sizeof(mxl_host) && host->abi_major == MXL_PLUGIN_ABI_MAJOR);
  mxl_host copy = *host; /* as good as the host itself */
  copy.log(&copy, MXL_LOG_WARNING, "a copy");
  char text[600];
  for (int i = 0; i < 299; i++) memcpy(text + 2 * i, "\xc3\xa9", 3);
  host->log(host, MXL_LOG_INFO, text);
  host->log(host, 77, "\xff\"\n");
#ifdef CALLS_BACK
  mxl_error error = MXL_ERROR_INIT;
  int64_t elements = 0;
  size_t length = 0;
  say("finds an encoding", mxl_encoding_block("Q4_K", &elements, NULL, &error) == MXL_OK && elements == 256);
  say("is not there yet", mxl_encoding_block("HOST", &elements, NULL, &error) == MXL_UNSUPPORTED);
  say("information", mxl_info(NULL, 0, &length, &error) == MXL_OK && length > 100);
  say("no load in a load", mxl_plugin_load(CALLS_BACK, &error) == MXL_UNSUPPORTED &&
                               strstr(error.message, "by a plugin that is being loaded") != NULL);
#endif
  return &plugin;
}
