#define _GNU_SOURCE
#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

typedef struct team {
  ceilings_body body;
  void *context;
  int32_t threads;
  _Atomic int32_t waiting; /* those that are not there yet; below 0, one could not be made and the others go home */
} team;

typedef struct member {
  team *team;
  int32_t thread;
  pthread_t handle;
} member;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void *work(void *argument) {
  member *self = argument;
  team *team = self->team;
  atomic_fetch_sub(&team->waiting, 1);
  int32_t waiting;
  while ((waiting = atomic_load(&team->waiting)) > 0) {
  }
  if (waiting == 0) team->body(team->context, self->thread, team->threads);
  return NULL;
}

double ceilings_time(ceilings_body body, void *context, int32_t threads) {
  member *members = calloc((size_t)threads, sizeof *members);
  if (members == NULL) return 0;
  team team = {body, context, threads, threads};
  int32_t made = 0;
  for (; made < threads - 1; made++) {
    members[made] = (member){&team, made + 1, 0};
    if (pthread_create(&members[made].handle, NULL, work, &members[made]) != 0) break;
  }
  int complete = made == threads - 1;
  if (!complete) atomic_fetch_sub(&team.waiting, 2 * threads);
  while (complete && atomic_load(&team.waiting) > 1) {
  }
  double begin = now();
  member own = {&team, 0, 0};
  work(&own);
  for (int32_t i = 0; i < made; i++) pthread_join(members[i].handle, NULL);
  double seconds = now() - begin;
  free(members);
  return complete ? seconds : 0;
}
