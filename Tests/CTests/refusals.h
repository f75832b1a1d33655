/* What the refusals' files share: calls that must fail, and how that is counted. */
#ifndef REFUSALS_H
#define REFUSALS_H

#include <maxlinear.h>

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

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

/* Whether a message names the argument, what came and what was expected: "x: rank is 0, expected 1 or more". */
static inline int has_three_parts(const char *message) {
  const char *came = strstr(message, ": "), *expected = came == NULL ? NULL : strstr(came + 2, " expected ");
  return came != NULL && came > message && expected != NULL && expected > came + 3 && expected[10] != 0;
}

/* The call must fail with that status, say why in three parts, and fail likewise without an mxl_error to say it in. `call` uses
 * `error` as its last argument. */
#define REFUSED(expected, call)                                                 \
  do {                                                                          \
    failure = (mxl_error)MXL_ERROR_INIT;                                        \
    mxl_error *error = &failure;                                                \
    mxl_status status = call;                                                   \
    if (status != (expected)) fprintf(stderr, "%s, ", mxl_status_name(status)); \
    CHECK(status == (expected) && failure.status == (expected));                \
    CHECK(has_three_parts(failure.message));                                    \
    error = NULL;                                                               \
    CHECK((call) == (expected));                                                \
  } while (0)
#define ACCEPTED(call)                   \
  do {                                   \
    failure = (mxl_error)MXL_ERROR_INIT; \
    mxl_error *error = &failure;         \
    CHECK((call) == MXL_OK);             \
  } while (0)

/* Whether no version of the struct has that size: below the first, which ended before that field, or one that ends amid a field. */
#define IS_NO_SIZE(size, type, later) ((size) < offsetof(type, later) || (size) % _Alignof(type) != 0)

static inline mxl_tensor tensor(void *data, int32_t rank, const int64_t *shape) {
  return (mxl_tensor){.data = data, .dtype = MXL_FLOAT32, .rank = rank, .shape = shape};
}

void refuse_mlps(const char *path);
void refuse_encodings(void);
void refuse_float8(void);
void refuse_communicators(void);
void refuse_distributed(void);
void refuse_together(void);

#endif
