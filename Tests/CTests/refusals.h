/* What the refusals' files share: calls that must fail, and how that is counted. */
#ifndef REFUSALS_H
#define REFUSALS_H

#include <maxlinear.h>

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* 0 leaves out calls with destroyed handles. The library tells those by reading memory that was freed, which is the best that it can do for its
 * caller, and just what a sanitizer reports. */
#ifndef DESTROYED_HANDLES
#define DESTROYED_HANDLES 1
#endif

extern mxl_error failure;
extern int checks, failures;

#define CHECK(condition)                                                                            \
  do {                                                                                              \
    checks++;                                                                                       \
    if (!(condition)) {                                                                             \
      fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #condition, failure.message); \
      failures++;                                                                                   \
    }                                                                                               \
  } while (0)

/* The call must fail with that status, say why, and fail likewise without an mxl_error to say it in. `call` uses
 * `error` as its last argument. */
#define REFUSED(expected, call)                                                        \
  do {                                                                                 \
    failure = (mxl_error)MXL_ERROR_INIT;                                               \
    mxl_error *error = &failure;                                                       \
    mxl_status status = call;                                                          \
    if (status != (expected)) fprintf(stderr, "%s, ", mxl_status_name(status));        \
    CHECK(status == (expected) && failure.status == (expected) && failure.message[0]); \
    error = NULL;                                                                      \
    CHECK((call) == (expected));                                                       \
  } while (0)
#define ACCEPTED(call)                   \
  do {                                   \
    failure = (mxl_error)MXL_ERROR_INIT; \
    mxl_error *error = &failure;         \
    CHECK((call) == MXL_OK);             \
  } while (0)

static inline mxl_tensor tensor(void *data, int32_t rank, const int64_t *shape) {
  return (mxl_tensor){.data = data, .dtype = MXL_FLOAT32, .rank = rank, .shape = shape};
}

void refuse_mlps(const char *path);
void refuse_encodings(void);
void refuse_float8(void);
void refuse_distributed(void);
void refuse_together(void);

#endif
