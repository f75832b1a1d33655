/* Panels that a tile kernel does not take side by side. */
#ifndef MXLK_TILES_PANELS_H
#define MXLK_TILES_PANELS_H

#include "maxlinear.h"

/* Runs a tile's panels one after the other. */
static inline void mxlk_one_by_one(void (*run)(const mxl_kernel_row *, const mxl_tile *), const mxl_kernel_row *row,
                                   const mxl_tile *tile) {
  mxl_tile one = *tile;
  one.panels = 1;
  for (int64_t panel = 0; panel < tile->panels; panel++) {
    run(row, &one);
    one.weights = (const char *)one.weights + one.weights_apart;
    one.next = one.next == NULL ? NULL : (const char *)one.next + one.weights_apart;
    one.y += one.y_apart;
  }
}

#endif
