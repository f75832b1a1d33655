/* Version numbers of the library and of its binary interface. */
#ifndef MAXLINEAR_VERSION_H
#define MAXLINEAR_VERSION_H

#include <stdint.h>

#ifdef __cplusplus
#define MXL_BEGIN extern "C" {
#define MXL_END }
#else
#define MXL_BEGIN
#define MXL_END
#endif

#define MXL_VERSION_MAJOR 0
#define MXL_VERSION_MINOR 1
#define MXL_VERSION_PATCH 0

/* The binary interface's number, which is also the soname's: libmaxlinear.so.0. It changes only when an
 * existing client would break. Functions, enumerators and fields at the end of a struct that begins with
 * struct_size are added without changing it, so an older client runs against a newer library. */
#define MXL_ABI_VERSION 0

MXL_BEGIN

/* The version of the library that is running, as major << 16 | minor << 8 | patch. Never fails; any thread. */
uint32_t mxl_version(void);

/* The MXL_ABI_VERSION the running library was built with. Never fails; any thread. */
uint32_t mxl_abi_version(void);

MXL_END

#endif
