/* What the clients of this folder share: a small layer of every kind, weights for it, and its call. */
#ifndef FAULT_LAYERS_H
#define FAULT_LAYERS_H

#include <maxlinear.h>

#include <stddef.h>
#include <stdint.h>

enum { HIDDEN = 256, FEED_FORWARD = 512, ROWS = 3, MOST_ENTRIES = 18, MOST_DEVICES = 2 };

/* A state dict in memory of its own. */
typedef struct state {
  mxl_entry entries[MOST_ENTRIES];
  size_t count;
  int64_t shapes[MOST_ENTRIES][2];
  char names[MOST_ENTRIES][32];
  size_t bytes[MOST_ENTRIES];
} state;

/* A kind of layer. */
typedef struct kind {
  const char *name;
  /* The layer from options alone, or from the tensors of a state, when it takes them as it is made. */
  mxl_status (*create)(const struct kind *kind, const state *from, mxl_layer **layer, mxl_error *error);
  const char *encoding; /* NULL for dense */
  int32_t dtype;
  int devices;    /* 0 for a layer that is called with mxl_layer_forward */
  int reduce;     /* of MLPs on devices; of one parallel linear: 1 by inputs, 0 by outputs */
  int is_created; /* 1: create takes the tensors, and the layer is loaded with that */
  int is_mlp;
  int has_own_outputs; /* each device's y: without gather */
} kind;

extern const kind kinds[];
extern const size_t kind_count;

/* Prints what went wrong and ends the program: for what must hold before a check means anything. */
#define MUST(condition)                                                         \
  do {                                                                          \
    if (!(condition)) must_fail(__FILE__, __LINE__, #condition, error.message); \
  } while (0)
_Noreturn void must_fail(const char *file, int line, const char *condition, const char *message);

/* Weights of that kind, the same for the same seed. */
void state_fill(const kind *kind, unsigned seed, state *filled);
void state_free(state *filled);
mxl_status kind_create(const kind *kind, const state *from, mxl_layer **layer, mxl_error *error);
/* MXL_OK without a call for a kind that is created from its tensors. */
mxl_status kind_load(const kind *kind, mxl_layer *layer, const state *from, mxl_error *error);
/* Created, loaded and prepared. */
mxl_layer *kind_make(const kind *kind, const state *from);

/* Columns of a device's y. */
int64_t kind_columns(const kind *kind);
/* Room for the ys of all devices. */
typedef struct results {
  float y[MOST_DEVICES][ROWS * FEED_FORWARD];
} results;
mxl_status kind_forward(const kind *kind, const mxl_layer *layer, int32_t threads, results *ys, mxl_error *error);
/* The same, added to the ys. */
mxl_status kind_add(const kind *kind, const mxl_layer *layer, int32_t threads, results *ys, mxl_error *error);

#endif
