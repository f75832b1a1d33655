/* The one fallible allocator, and what the operating system knows of pages. */
#define _GNU_SOURCE
#include "contract.h"
#include "kernels.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 << 20)
/* From here on memory is aligned to, and advised to be backed by, huge pages: a matrix read once per call otherwise
 * spends its time on address translation. */
#define HUGE_FROM ((size_t)4 << 20)

void *mxlk_allocate(size_t bytes) {
  if (bytes == 0 || bytes > (size_t)PTRDIFF_MAX - HUGE_PAGE) return NULL;
  size_t alignment = bytes >= HUGE_FROM ? HUGE_PAGE : MXLK_ALIGNMENT;
  void *memory = NULL;
  if (posix_memalign(&memory, alignment, bytes) != 0) return NULL;
#ifdef MADV_HUGEPAGE
  if (bytes >= HUGE_FROM) madvise(memory, bytes, MADV_HUGEPAGE); /* advice: failure changes nothing */
#endif
  return memory;
}

void mxlk_free(void *memory) { free(memory); }

static size_t page_size(void) {
  long size = sysconf(_SC_PAGESIZE);
  return size > 0 ? (size_t)size : 4096;
}

void mxlk_release_pages(const void *data, size_t bytes) {
  size_t page = page_size();
  uintptr_t begin = ((uintptr_t)data + page - 1) / page * page;
  uintptr_t end = ((uintptr_t)data + bytes) / page * page;
  if (end > begin) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

uint64_t mxlk_resident_bytes(const void *data, size_t bytes) {
  if (bytes == 0) return 0;
  size_t page = page_size();
  uintptr_t begin = (uintptr_t)data / page * page;
  uintptr_t end = (uintptr_t)data + bytes;
  uint64_t resident = 0;
  unsigned char pages[2048];
  while (begin < end) {
    size_t count = (end - begin + page - 1) / page;
    if (count > sizeof pages) count = sizeof pages;
    if (mincore((void *)begin, count * page, (void *)pages) != 0) return resident;
    for (size_t i = 0; i < count; i++) {
      if (!(pages[i] & 1)) continue;
      /* Only the bytes inside [data, data + bytes) count, so that tensors that share a page add up. */
      uintptr_t first = begin + i * page, last = first + page;
      if (first < (uintptr_t)data) first = (uintptr_t)data;
      if (last > end) last = end;
      resident += last - first;
    }
    begin += count * page;
  }
  return resident;
}
