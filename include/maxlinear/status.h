/* Errors: a status code and a message, both returned to the caller. */
#ifndef MAXLINEAR_STATUS_H
#define MAXLINEAR_STATUS_H

#include "version.h"

#include <stdint.h>

/* What a call came to. Codes are stable; gaps leave room for finer ones, so test ranges only by name. */
typedef enum mxl_status {
  MXL_OK = 0,
  MXL_INVALID_ARGUMENT = 100,  /* a NULL where none may be, an enumerator or option outside its range */
  MXL_INVALID_SHAPE = 110,     /* a rank, dimension or stride that does not fit, or whose product overflows */
  MXL_INVALID_DTYPE = 120,     /* a dtype the operation does not take */
  MXL_INVALID_HANDLE = 130,    /* a handle of another type, a destroyed one, or none at all */
  MXL_MISSING_KEY = 200,       /* a state dict or checkpoint lacks a tensor */
  MXL_UNEXPECTED_KEY = 210,    /* a strict state dict has a tensor the layer does not */
  MXL_NOT_LOADED = 300,        /* prepare or forward before the weights were loaded */
  MXL_NOT_PREPARED = 310,      /* forward before prepare */
  MXL_ALREADY_PREPARED = 320,  /* a change to a prepared layer without MXL_LOAD_REPLACE */
  MXL_UNSUPPORTED = 400,       /* well formed, but not something this library does */
  MXL_NO_DEVICE = 410,         /* a device this process does not have */
  MXL_IO = 500,                /* the operating system refused to open, read or map a file */
  MXL_INVALID_FILE = 510,      /* a file breaks the rules of its format */
  MXL_COMMUNICATION = 520,     /* processes that share a layer differ, or one of them failed, ended or is late */
  MXL_OUT_OF_MEMORY = 600,     /* memory or an operating system resource ran out */
  MXL_INTERNAL = 900,          /* a defect of the library: please report it */
  MXL_STATUS_INT32 = INT32_MIN /* makes the enum 32 bits wide; never returned */
} mxl_status;

/* Where a failed call writes what went wrong. Owned by the caller, who sets struct_size to
 * sizeof(mxl_error) before the call; a smaller struct_size gets a shorter message. On success nothing is
 * written. The message is UTF-8, ends with NUL, and names the argument, what came and what was expected. */
typedef struct mxl_error {
  uint32_t struct_size;
  mxl_status status;
  char message[504];
} mxl_error;

/* Initializes an mxl_error: mxl_error error = MXL_ERROR_INIT; */
#define MXL_ERROR_INIT {sizeof(mxl_error), MXL_OK, {0}}

MXL_BEGIN

/* The enumerator's name, such as "MXL_INVALID_SHAPE"; "MXL_UNKNOWN" for a code this library does not know.
 * Static storage; never NULL; any thread. */
const char *mxl_status_name(mxl_status status);

MXL_END

#endif
