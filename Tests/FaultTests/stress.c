/* `stress SECONDS [THREADS]`: threads of the host call layers that they share while others replace the weights, make layers of their own and
 * destroy them, hold and let go of shared ones, and make calls that are refused. Each result must have the bits of the one or the other
 * weights. Prints what was done. */
#define _GNU_SOURCE /* clock_gettime */
#include "layers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WEIGHTS = 2, MOST_THREADS = 1024 };

/* A layer that all threads share, and what it may answer. */
typedef struct shared {
  const kind *kind;
  mxl_layer *layer;
  state weights[WEIGHTS];
  results expected[WEIGHTS];
  _Atomic long seen[WEIGHTS];
} shared;

typedef struct worker {
  pthread_t thread;
  uint32_t random;
  long forwards, replacements, lives, refusals;
} worker;

static shared *layers;
static double deadline;
static _Atomic int wrong;

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void report(const kind *kind, const char *what, const mxl_error *error) {
  if (wrong++ < 5) fprintf(stderr, "%s: %s (%s)\n", kind->name, what, error->message);
}

/* The number of the weights whose bits these are; -1 for none. */
static int which(const shared *one, const results *ys) {
  const size_t bytes = sizeof(float) * ROWS * (size_t)kind_columns(one->kind);
  for (int i = 0; i < WEIGHTS; i++) {
    int same = 1;
    for (int device = 0; device < (one->kind->devices ? one->kind->devices : 1); device++)
      same = same && memcmp(ys->y[device], one->expected[i].y[device], bytes) == 0;
    if (same) return i;
  }
  return -1;
}

static void call(worker *worker, shared *one) {
  mxl_error error = MXL_ERROR_INIT;
  results ys;
  mxl_layer_retain(one->layer);
  if (kind_forward(one->kind, one->layer, (int32_t)(worker->random >> 20) % 3, &ys, &error) != MXL_OK)
    report(one->kind, "forward failed", &error);
  mxl_layer_destroy(one->layer);
  int found = which(one, &ys);
  if (found < 0) {
    report(one->kind, "forward gave bits of no weights", &error);
  } else {
    one->seen[found]++;
  }
  worker->forwards++;
}

static void replace(worker *worker, shared *one) {
  mxl_error error = MXL_ERROR_INIT;
  const state *next = &one->weights[worker->random >> 16 & 1];
  if (mxl_layer_load(one->layer, next->entries, next->count, MXL_LOAD_REPLACE, &error) != MXL_OK)
    report(one->kind, "replacing failed", &error);
  worker->replacements++;
}

static void live(worker *worker, shared *one) {
  mxl_error error = MXL_ERROR_INIT;
  results ys;
  int choice = worker->random >> 16 & 1;
  mxl_layer *layer = NULL;
  if (kind_create(one->kind, &one->weights[choice], &layer, &error) != MXL_OK ||
      kind_load(one->kind, layer, &one->weights[choice], &error) != MXL_OK ||
      mxl_layer_prepare(layer, NULL, &error) != MXL_OK || kind_forward(one->kind, layer, 0, &ys, &error) != MXL_OK) {
    report(one->kind, "a life failed", &error);
  } else if (which(one, &ys) != choice) {
    report(one->kind, "a layer of a thread's own gave other bits", &error);
  }
  mxl_layer_destroy(layer);
  worker->lives++;
}

static void refuse(worker *worker, shared *one) {
  mxl_error error = MXL_ERROR_INIT;
  mxl_memory memory = {.struct_size = sizeof memory};
  results ys;
  const state *next = &one->weights[0];
  if (mxl_layer_load(one->layer, next->entries, next->count, 0, &error) != MXL_ALREADY_PREPARED ||
      kind_forward(one->kind, one->layer, -1, &ys, &error) != MXL_INVALID_ARGUMENT ||
      mxl_layer_memory(one->layer, &memory, &error) != MXL_OK)
    report(one->kind, "a refusal went wrong", &error);
  worker->refusals++;
}

static void *work(void *context) {
  worker *worker = context;
  while (seconds() < deadline && wrong == 0) {
    worker->random = worker->random * 1664525u + 1013904223u;
    shared *one = &layers[(worker->random >> 8) % kind_count];
    switch (worker->random >> 24 & 15) {
      case 0:
      case 1: live(worker, one); break;
      case 2:
      case 3: refuse(worker, one); break;
      case 4:
      case 5:
        if (!one->kind->is_created) replace(worker, one);
        break;
      default: call(worker, one);
    }
  }
  return NULL;
}

static void fill(shared *one, const kind *kind) {
  mxl_error error = MXL_ERROR_INIT;
  one->kind = kind;
  for (int i = 0; i < WEIGHTS; i++) {
    state_fill(kind, (unsigned)i, &one->weights[i]);
    mxl_layer *layer = kind_make(kind, &one->weights[i]);
    MUST(kind_forward(kind, layer, 1, &one->expected[i], &error) == MXL_OK);
    mxl_layer_destroy(layer);
  }
  MUST(which(one, &one->expected[1]) == 1); /* the weights can be told apart */
  one->layer = kind_make(kind, &one->weights[0]);
}

int main(int count, char **arguments) {
  mxl_error error = MXL_ERROR_INIT;
  if (count < 2) return fputs("usage: stress SECONDS [THREADS]\n", stderr), 2;
  const double duration = atof(arguments[1]);
  const int threads = count > 2 ? atoi(arguments[2]) : 64;
  MUST(threads > 0 && threads <= MOST_THREADS);
  layers = calloc(kind_count, sizeof *layers);
  worker *workers = calloc((size_t)threads, sizeof *workers), sum = {0};
  MUST(layers != NULL && workers != NULL);
  for (size_t i = 0; i < kind_count; i++) fill(&layers[i], &kinds[i]);
  deadline = seconds() + duration;
  for (int i = 0; i < threads; i++) {
    workers[i].random = (uint32_t)i * 2654435761u;
    MUST(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
  }
  for (int i = 0; i < threads; i++) {
    pthread_join(workers[i].thread, NULL);
    sum.forwards += workers[i].forwards, sum.replacements += workers[i].replacements;
    sum.lives += workers[i].lives, sum.refusals += workers[i].refusals;
  }
  long kept_first = 0, replaced = 0;
  for (size_t i = 0; i < kind_count; i++) {
    kept_first += layers[i].seen[0], replaced += layers[i].seen[1];
    mxl_layer_destroy(layers[i].layer);
    for (int j = 0; j < WEIGHTS; j++) state_free(&layers[i].weights[j]);
  }
  free(layers);
  free(workers);
  printf(
      "%d threads: %ld forwards (%ld and %ld of either weights), %ld replacements, %ld lives, %ld refusals, %d wrong\n",
      threads, sum.forwards, kept_first, replaced, sum.replacements, sum.lives, sum.refusals, (int)wrong);
  return wrong != 0;
}
