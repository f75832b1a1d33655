/* Calls each function of the communicator that the plugin argv[1] brings, and prints "fine" where all is. */
#include <maxlinear/plugin.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                         \
  do {                                                                           \
    if (!(condition)) {                                                          \
      fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, error.message); \
      exit(1);                                                                   \
    }                                                                            \
  } while (0)

static mxl_error error = MXL_ERROR_INIT;

static void keep(const mxl_host *host, int32_t level, const char *message) { (void)host, (void)level, (void)message; }

int main(int argc, char **argv) {
  void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
  CHECK(library != NULL);
  mxl_plugin_entry_function *entry;
  *(void **)&entry = dlsym(library, "mxl_plugin_entry");
  const mxl_host host = {.struct_size = sizeof host, .abi_major = 1, .log = keep};
  const mxl_communicator_kind *kind = entry(&host)->communicators[0];
  void *self;
  CHECK(kind->create(kind, NULL, &self, &error) == MXL_OK);
  int rank = kind->rank(self), size = kind->size(self);
  CHECK(rank >= 0 && rank < size && size <= 8);
  CHECK(kind->barrier(self, &error) == MXL_OK);

  for (int root = 0; root < size; root++) {
    char text[32] = "";
    if (rank == root) snprintf(text, sizeof text, "from %d", root);
    char expected[32];
    snprintf(expected, sizeof expected, "from %d", root);
    CHECK(kind->broadcast(self, text, sizeof text, root, &error) == MXL_OK);
    CHECK(strcmp(text, expected) == 0);
  }
  CHECK(kind->broadcast(self, NULL, 0, 0, &error) == MXL_OK);
  CHECK(kind->broadcast(self, NULL, 1, size, &error) == MXL_INVALID_ARGUMENT);

  /* Parts of all lengths, none among them, with gaps between, in place and not. */
  for (size_t unit = 0; unit < 200000; unit = unit * 7 + 1) {
    size_t bytes[8], offsets[8], total = 3;
    for (int r = 0; r < size; r++) {
      bytes[r] = unit * (size_t)((r + 1) % 3);
      offsets[r] = total;
      total += bytes[r] + 5;
    }
    unsigned char *gathered = malloc(total), *own = malloc(bytes[rank] + 1);
    CHECK(gathered != NULL && own != NULL);
    for (int in_place = 0; in_place < 2; in_place++) {
      memset(gathered, 200, total);
      memset(in_place ? gathered + offsets[rank] : own, rank + 1, bytes[rank]);
      CHECK(kind->allgather(self, in_place ? NULL : own, gathered, bytes, offsets, &error) == MXL_OK);
      for (int r = 0; r < size; r++) {
        for (size_t i = 0; i < bytes[r]; i++) CHECK(gathered[offsets[r] + i] == r + 1);
        CHECK(gathered[offsets[r] - 1] == 200 && gathered[offsets[r] + bytes[r]] == 200);
      }
    }
    free(gathered);
    free(own);
  }

  /* Sums whose bits depend on their order. */
  for (size_t count = 0; count < 3000; count = count * 3 + 1) {
    float *values = malloc((count + 1) * sizeof *values);
    CHECK(values != NULL);
    for (size_t i = 0; i < count; i++) values[i] = (rank == 0 ? 1e8f : rank == 1 ? 3.3f : -1e8f) + (float)i;
    CHECK(kind->allreduce(self, MXL_FLOAT32, values, count, &error) == MXL_OK);
    for (size_t i = 0; i < count; i++) {
      volatile float sum = 1e8f + (float)i;
      for (int r = 1; r < size; r++) sum = sum + ((r == 1 ? 3.3f : -1e8f) + (float)i);
      CHECK(values[i] == sum);
    }
    free(values);
  }
  CHECK(kind->allreduce(self, MXL_INT32, NULL, 0, &error) == MXL_UNSUPPORTED);
  CHECK(kind->allreduce(self, MXL_INT32, NULL, 0, NULL) == MXL_UNSUPPORTED);
  kind->destroy(self);
  puts("fine");
  return 0;
}
