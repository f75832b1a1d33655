/* The number of CPUs this process may use: affinity mask, cgroup quota, MAXLINEAR_NUM_THREADS. */
#define _GNU_SOURCE
#include "limits.h"

#include "kernels.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif

#define MAX_THREADS 1024
#define PATH_BYTES 4096

int32_t mxlk_parse_threads(const char *text) {
  if (text == NULL || *text == 0) return 0;
  int32_t value = 0;
  for (; *text != 0; text++) {
    if (*text < '0' || *text > '9') return 0;
    value = value * 10 + (*text - '0');
    if (value > MAX_THREADS) return 0;
  }
  return value;
}

int32_t mxlk_affinity_cpus(void) {
#ifdef __linux__
  unsigned long mask[128] = {0}; /* 8192 CPUs, the most Linux is built for */
  if (sched_getaffinity(0, sizeof mask, (cpu_set_t *)mask) == 0) {
    int32_t cpus = 0;
    for (size_t i = 0; i < sizeof mask / sizeof *mask; i++) cpus += __builtin_popcountl(mask[i]);
    if (cpus > 0) return cpus;
  }
#endif
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online < 1 ? 1 : online > MAX_THREADS ? MAX_THREADS : (int32_t)online;
}

/* Reads a small file as text; false when it is not there. */
static int read_text(const char *path, char *text, size_t capacity) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  size_t length = 0;
  while (length < capacity - 1) {
    ssize_t got = read(file, text + length, capacity - 1 - length);
    if (got <= 0) break;
    length += (size_t)got;
  }
  close(file);
  text[length] = 0;
  return length > 0;
}

/* Appends to a path; false when it does not fit. */
static int append(char path[PATH_BYTES], const char *text, size_t length) {
  size_t used = strlen(path);
  if (length >= PATH_BYTES - used) return 0;
  memcpy(path + used, text, length);
  path[used + length] = 0;
  return 1;
}

/* CPUs of "quota period" microseconds; INT32_MAX where quota is no positive number ("max", -1). */
static int32_t quota_cpus(const char *quota, const char *period) {
  char *end;
  long long q = strtoll(quota, &end, 10);
  if (end == quota || q <= 0) return INT32_MAX;
  long long p = strtoll(period, &end, 10);
  if (end == period || p <= 0) return INT32_MAX;
  long long cpus = q / p + (q % p != 0);
  return cpus > INT32_MAX ? INT32_MAX : (int32_t)cpus;
}

/* The quota of the one group whose folder path names. */
static int32_t group_cpus(const char *folder, int version) {
  char path[PATH_BYTES] = "", quota[128], period[128];
  const char *quota_file = version == 2 ? "/cpu.max" : "/cpu.cfs_quota_us";
  if (!append(path, folder, strlen(folder))) return INT32_MAX;
  size_t length = strlen(path);
  if (!append(path, quota_file, strlen(quota_file)) || !read_text(path, quota, sizeof quota)) return INT32_MAX;
  if (version == 2) {
    const char *space = strchr(quota, ' ');
    return space == NULL ? INT32_MAX : quota_cpus(quota, space + 1);
  }
  path[length] = 0;
  const char *period_file = "/cpu.cfs_period_us";
  if (!append(path, period_file, strlen(period_file)) || !read_text(path, period, sizeof period)) return INT32_MAX;
  return quota_cpus(quota, period);
}

/* The smallest quota of a group and its ancestors up to the mount. A container may see a group's path from outside its
 * own mount; folders that are not there are passed over. */
static int32_t lineage_cpus(const char *root, const char *mount, const char *group, size_t group_length, int version) {
  char path[PATH_BYTES] = "";
  if (!append(path, root, strlen(root)) || !append(path, mount, strlen(mount))) return INT32_MAX;
  size_t shortest = strlen(path);
  if (!append(path, group, group_length)) return INT32_MAX;
  int32_t least = INT32_MAX;
  for (;;) {
    int32_t cpus = group_cpus(path, version);
    if (cpus < least) least = cpus;
    if (strlen(path) <= shortest) return least;
    char *slash = strrchr(path + shortest, '/');
    *(slash == NULL ? path + shortest : slash) = 0;
  }
}

/* Whether a comma separated list holds the word. */
static int lists(const char *list, size_t length, const char *word) {
  size_t word_length = strlen(word);
  for (size_t begin = 0; begin <= length;) {
    size_t end = begin;
    while (end < length && list[end] != ',') end++;
    if (end - begin == word_length && memcmp(list + begin, word, word_length) == 0) return 1;
    begin = end + 1;
  }
  return 0;
}

int32_t mxlk_cgroup_cpus(const char *root) {
  char path[PATH_BYTES] = "";
  static const char groups[] = "/proc/self/cgroup";
  char text[16384];
  if (!append(path, root, strlen(root)) || !append(path, groups, strlen(groups))) return INT32_MAX;
  if (!read_text(path, text, sizeof text)) return INT32_MAX;
  int32_t least = INT32_MAX;
  /* Lines are "hierarchy:controllers:path"; version 2 is "0::path". */
  for (const char *line = text; *line != 0;) {
    const char *end = strchr(line, '\n');
    if (end == NULL) end = line + strlen(line);
    const char *controllers = memchr(line, ':', (size_t)(end - line));
    const char *group = controllers == NULL ? NULL : memchr(controllers + 1, ':', (size_t)(end - controllers - 1));
    if (group != NULL) {
      size_t list_length = (size_t)(group - controllers - 1), length = (size_t)(end - group - 1);
      int32_t cpus = INT32_MAX;
      if (list_length == 0) {
        cpus = lineage_cpus(root, "/sys/fs/cgroup", group + 1, length, 2);
      } else if (lists(controllers + 1, list_length, "cpu")) {
        cpus = lineage_cpus(root, "/sys/fs/cgroup/cpu", group + 1, length, 1);
      }
      if (cpus < least) least = cpus;
    }
    line = *end == 0 ? end : end + 1;
  }
  return least;
}

int32_t mxlk_default_threads(void) {
  int32_t wanted = mxlk_parse_threads(getenv("MAXLINEAR_NUM_THREADS"));
  if (wanted > 0) return wanted;
  int32_t cpus = mxlk_affinity_cpus(), quota = mxlk_cgroup_cpus("");
  if (quota < cpus) cpus = quota;
  return cpus > MAX_THREADS ? MAX_THREADS : cpus;
}
