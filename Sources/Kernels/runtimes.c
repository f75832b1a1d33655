/* Two OpenMP runtimes of LLVM's family (LLVM's libomp, Intel's libiomp5) do not live in one process: the second to begin
 * prints "OMP: Error #15" and aborts. The library never aborts its host, so it looks first. */
#define _GNU_SOURCE
#include "parallel.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

void __kmpc_fork_call(void);

/* Reads what a runtime that has begun wrote about itself, "address-value-file": the address of a word of its own, and
 * what that word holds. Newer ones write it to shared memory, older ones to the environment. 0 when there is none. */
static int read_registration(char *text, size_t capacity) {
  char name[64];
  snprintf(name, sizeof name, "/__KMP_REGISTERED_LIB_%d_%d", (int)getpid(), (int)getuid());
  int file = shm_open(name, O_RDONLY, 0);
  if (file >= 0) {
    ssize_t length = read(file, text, capacity - 1);
    close(file);
    if (length > 0) {
      text[length] = 0;
      return 1;
    }
  }
  const char *value = getenv(name + 1);
  if (value == NULL) {
    snprintf(name, sizeof name, "__KMP_REGISTERED_LIB_%d", (int)getpid());
    value = getenv(name);
  }
  if (value == NULL) return 0;
  snprintf(text, capacity, "%s", value);
  return 1;
}

/* Whether the runtimes are told to live with one another: by a word that they take for yes, written out. */
static int may_be_two(void) {
  static const char *const yes[] = {"true", "t", "1", "on", "yes", "y", "enabled", ".true.", ".t."};
  const char *value = getenv("KMP_DUPLICATE_LIB_OK");
  for (size_t i = 0; value != NULL && i < sizeof yes / sizeof *yes; i++)
    if (strcasecmp(value, yes[i]) == 0) return 1;
  return 0;
}

int mxlk_other_runtime_runs(void) {
  if (may_be_two()) return 0;
  char text[256];
  if (!read_registration(text, sizeof text)) return 0;
  char *end;
  uintptr_t address = (uintptr_t)strtoull(text, &end, 16);
  if (*end != '-') return 0;
  unsigned long value = strtoul(end + 1, NULL, 16);
  /* A process that was killed leaves its text to the next one of its number: only a word that lies in a loaded library
   * and holds what it should is a runtime's. */
  Dl_info other, ours;
  if (address % sizeof(int32_t) != 0 || dladdr((const void *)address, &other) == 0) return 0;
  if (*(const volatile uint32_t *)address != (uint32_t)value) return 0;
  return dladdr((const void *)(uintptr_t)__kmpc_fork_call, &ours) != 0 && ours.dli_fbase != other.dli_fbase;
}
