/* A body on several threads at once. */
#ifndef CEILINGS_THREADS_H
#define CEILINGS_THREADS_H

#include <stdint.h>

typedef void (*ceilings_body)(void *context, int32_t thread, int32_t threads);

/* Seconds from when all threads are there to when the last of them is done; 0 when they cannot be made. */
double ceilings_time(ceilings_body body, void *context, int32_t threads);

#endif
