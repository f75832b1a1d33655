/* How many CPUs this process may use. */
#ifndef MXLK_LIMITS_H
#define MXLK_LIMITS_H

#include <stdint.h>

/* CPUs of the calling thread's affinity mask; >= 1. */
int32_t mxlk_affinity_cpus(void);

/* The cgroup's CPU quota rounded up to whole CPUs, the smallest of the group and its ancestors, cgroup v1 or v2;
 * INT32_MAX when there is none. root is put before /proc/self/cgroup and /sys/fs/cgroup: "" but in tests. */
int32_t mxlk_cgroup_cpus(const char *root);

/* text as a number of threads, 1 to 1024; 0 when it is none (NULL and "" too). */
int32_t mxlk_parse_threads(const char *text);

#endif
