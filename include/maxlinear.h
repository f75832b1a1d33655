/* maxlinear: the linear layers of an inference program, on CPU, dense and quantized.
 *
 * This header includes the whole C ABI; the parts may also be included alone. C11 and C++11.
 *
 * - Errors: every function that can fail returns an mxl_status and takes a trailing mxl_error * that may
 *   be NULL (maxlinear/status.h). The library itself never aborts; OpenMP's runtime does where another of its family
 *   begins later (below) and where the system refuses it a thread. It calls back only the release of entries that were
 *   lent to it (maxlinear/weights.h) and what a plugin registered, and prints only where MAXLINEAR_VERBOSE asks for it,
 *   on standard error. A mapped file that is truncated while it is read raises SIGBUS (maxlinear/weights.h).
 * - A failed call changes nothing: out parameters and handles are as they were before it.
 * - Thread safety: any number of threads may call mxl_layer_forward on one prepared layer at once, and may
 *   read one mxl_weights handle at once. Different handles are independent. Each header says what else holds.
 * - The host's threads: the library's own sleep between calls unless calls follow each other at once, and a child of
 *   fork() may call. They are LLVM's OpenMP (libomp). Of that and Intel's (libiomp5) a process can have one only: load
 *   the host's with RTLD_GLOBAL, or link it, before this library, and both use it. If another has begun before the first
 *   call with several threads, calls run on their caller's thread alone; one that begins after it aborts the process,
 *   unless KMP_DUPLICATE_LIB_OK is true.
 * - Ownership: handles belong to the caller and end with their destroy function; NULL is fine there.
 */
#ifndef MAXLINEAR_H
#define MAXLINEAR_H

#include "maxlinear/communicator.h"
#include "maxlinear/encodings.h"
#include "maxlinear/layers.h"
#include "maxlinear/plugin.h"
#include "maxlinear/status.h"
#include "maxlinear/types.h"
#include "maxlinear/version.h"
#include "maxlinear/weights.h"

#endif
