/* Layers of every kind come and go, and calls fail, `leaks FOLDER CYCLES` times: the process ends with the memory, mappings and descriptors that
 * it began with, after as many as it takes for all that is made once to be there. Prints the growth. */
#define _GNU_SOURCE /* mallinfo2 */
#include "layers.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_ALLOCATED = 8192, MOST_RESIDENT = 16 << 20, MOST_MAPPINGS = 16 };

static mxl_error error = MXL_ERROR_INIT;
static char good_path[4096], bad_path[4096];

/* A life, and calls that are refused on its way. */
static void live(const kind *kind, const state *first, const state *second) {
  mxl_layer *layer = NULL;
  results ys;
  mxl_entry entry = {0};
  mxl_prepare_options wrong = {.struct_size = sizeof wrong, .compute = 77};
  MUST(kind_create(kind, first, &layer, &error) == MXL_OK);
  MUST(mxl_layer_load(layer, first->entries, 0, 0, &error) == MXL_MISSING_KEY);
  MUST(kind_load(kind, layer, first, &error) == MXL_OK);
  MUST(kind_forward(kind, layer, 1, &ys, &error) == MXL_NOT_PREPARED);
  MUST(mxl_layer_prepare(layer, &wrong, &error) == MXL_INVALID_ARGUMENT);
  MUST(mxl_layer_prepare(layer, NULL, &error) == MXL_OK);
  MUST(kind_forward(kind, layer, 1, &ys, &error) == MXL_OK);
  MUST(kind_forward(kind, layer, -1, &ys, &error) == MXL_INVALID_ARGUMENT);
  MUST(mxl_layer_load(layer, second->entries, second->count, 0, &error) == MXL_ALREADY_PREPARED);
  if (!kind->is_created) {
    MUST(mxl_layer_load(layer, second->entries, second->count, MXL_LOAD_REPLACE, &error) == MXL_OK);
    MUST(mxl_layer_load(layer, second->entries, 1, MXL_LOAD_REPLACE, &error) == MXL_MISSING_KEY);
  }
  MUST(mxl_layer_entry(layer, 0, &entry, &error) == MXL_OK);
  if (entry.release != NULL) entry.release(entry.owner);
  mxl_layer_destroy(layer);
}

/* A checkpoint of one float32 matrix. */
static void write_checkpoint(const char *path, const char *dtype) {
  static float weight[FEED_FORWARD * HIDDEN];
  char header[256];
  int length =
      snprintf(header, sizeof header, "{\"weight\":{\"dtype\":\"%s\",\"shape\":[%d,%d],\"data_offsets\":[0,%zu]}}",
               dtype, FEED_FORWARD, HIDDEN, sizeof weight);
  uint64_t size = (uint64_t)length;
  FILE *file = fopen(path, "wb");
  MUST(file != NULL);
  MUST(fwrite(&size, sizeof size, 1, file) == 1 && fwrite(header, size, 1, file) == 1);
  MUST(fwrite(weight, sizeof weight, 1, file) == 1 && fclose(file) == 0);
}

static void open_checkpoints(void) {
  const char *good = good_path, *bad = bad_path, *none = "/nowhere/there is none";
  mxl_linear_options options = {
      .struct_size = sizeof options, .dtype = MXL_FLOAT32, .in_dim = HIDDEN, .out_dim = FEED_FORWARD};
  mxl_weights *weights = NULL;
  mxl_layer *layer = NULL;
  mxl_entry entry;
  MUST(mxl_weights_open(&none, 1, &weights, &error) == MXL_IO);
  MUST(mxl_weights_open(&bad, 1, &weights, &error) == MXL_INVALID_FILE);
  MUST(mxl_weights_open(&good, 1, &weights, &error) == MXL_OK);
  MUST(mxl_weights_find(weights, "weight", &entry, &error) == MXL_OK);
  MUST(mxl_weights_find(weights, "weights", &entry, &error) == MXL_MISSING_KEY);
  MUST(mxl_linear_create(&options, &layer, &error) == MXL_OK);
  MUST(mxl_layer_load_weights(layer, weights, "none.", 0, &error) == MXL_MISSING_KEY);
  MUST(mxl_layer_load_weights(layer, weights, NULL, 0, &error) == MXL_OK);
  mxl_weights_destroy(weights);
  MUST(mxl_layer_prepare(layer, NULL, &error) == MXL_OK);
  mxl_layer_destroy(layer);
}

static long open_descriptors(void) {
  DIR *folder = opendir("/proc/self/fd");
  MUST(folder != NULL);
  long count = 0;
  while (readdir(folder) != NULL) count++;
  closedir(folder);
  return count;
}

static long mappings(void) {
  FILE *file = fopen("/proc/self/maps", "r");
  MUST(file != NULL);
  long count = 0;
  for (int c; (c = fgetc(file)) != EOF;) count += c == '\n';
  fclose(file);
  return count;
}

static long resident_bytes(void) {
  long total = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  MUST(file != NULL && fscanf(file, "%ld %ld", &total, &resident) == 2);
  fclose(file);
  return resident * sysconf(_SC_PAGESIZE);
}

static long allocated_bytes(void) {
  struct mallinfo2 info = mallinfo2();
  return (long)(info.uordblks + info.hblkhd);
}

typedef struct holdings {
  long allocated, resident, mappings, descriptors;
} holdings;

static holdings held(void) { return (holdings){allocated_bytes(), resident_bytes(), mappings(), open_descriptors()}; }

int main(int count, char **arguments) {
  if (count != 3) return fputs("usage: leaks FOLDER CYCLES\n", stderr), 2;
  const long cycles = atol(arguments[2]);
  snprintf(good_path, sizeof good_path, "%s/good.safetensors", arguments[1]);
  snprintf(bad_path, sizeof bad_path, "%s/bad.safetensors", arguments[1]);
  write_checkpoint(good_path, "F32");
  write_checkpoint(bad_path, "F16");
  state *first = calloc(kind_count, sizeof *first), *second = calloc(kind_count, sizeof *second);
  MUST(first != NULL && second != NULL);
  for (size_t i = 0; i < kind_count; i++) {
    state_fill(&kinds[i], 1, &first[i]);
    state_fill(&kinds[i], 2, &second[i]);
  }
  const long warm = (cycles < 20 ? 2 : 20) * (long)(kind_count + 1);
  holdings before = {0};
  for (long cycle = 0; cycle < warm + cycles; cycle++) {
    if (cycle == warm) before = held();
    size_t which = (size_t)cycle % (kind_count + 1);
    if (which < kind_count) {
      live(&kinds[which], &first[which], &second[which]);
    } else {
      open_checkpoints();
    }
  }
  holdings after = held();
  for (size_t i = 0; i < kind_count; i++) state_free(&first[i]), state_free(&second[i]);
  free(first);
  free(second);
  printf("%ld cycles: %ld bytes allocated more, %ld resident more, %ld mappings more, %ld descriptors more\n", cycles,
         after.allocated - before.allocated, after.resident - before.resident, after.mappings - before.mappings,
         after.descriptors - before.descriptors);
  /* How malloc cuts its blocks moves the first by a few hundred bytes, its arenas the second and the third: no leak of each cycle is so small. */
  return after.allocated - before.allocated > MOST_ALLOCATED || after.resident - before.resident > MOST_RESIDENT ||
         after.mappings - before.mappings > MOST_MAPPINGS || after.descriptors != before.descriptors;
}
