/* Whether a file may be handed to the dynamic loader. */
#define _GNU_SOURCE
#include "plugins.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <elf.h>
#endif

#ifdef __linux__
/* The loader maps what the headers say, and a file that was cut, as a broken download is, would raise SIGBUS. Files that are no ELF of 64 bits
 * it refuses by itself. */
static mxl_status check_extent(int file, int64_t size, const mxlk_reason *reason) {
  Elf64_Ehdr header;
  if (pread(file, &header, sizeof header, 0) != (ssize_t)sizeof header ||
      memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64)
    return MXL_OK;
  for (uint32_t i = 0; i < header.e_phnum; i++) {
    Elf64_Phdr part;
    off_t at = (off_t)(header.e_phoff + (uint64_t)i * sizeof part);
    int is_read = pread(file, &part, sizeof part, at) == (ssize_t)sizeof part;
    uint64_t end = 0;
    if (!is_read || (part.p_type == PT_LOAD &&
                     (__builtin_add_overflow(part.p_offset, part.p_filesz, &end) || end > (uint64_t)size)))
      return mxlk_refuse(MXL_INVALID_FILE, reason, "is cut short, expected a whole shared library");
  }
  return MXL_OK;
}
#else
static mxl_status check_extent(int file, int64_t size, const mxlk_reason *reason) {
  (void)file, (void)size, (void)reason;
  return MXL_OK;
}
#endif

mxl_status mxlk_plugin_file_check(const char *path, const mxlk_reason *reason) {
  struct stat information;
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* no wait for a FIFO's writer */
  if (file < 0) return mxlk_refuse(MXL_IO, reason, "%s, expected a file that can be opened", strerror(errno));
  mxl_status status = MXL_OK;
  if (fstat(file, &information) != 0)
    status = mxlk_refuse(MXL_IO, reason, "%s, expected a file that can be opened", strerror(errno));
  else if (S_ISDIR(information.st_mode))
    status = mxlk_refuse(MXL_IO, reason, "is a directory, expected a shared library");
  else if (!S_ISREG(information.st_mode))
    status = mxlk_refuse(MXL_IO, reason, "is a device or the like, expected a shared library");
  else
    status = check_extent(file, information.st_size, reason);
  close(file);
  return status;
}
