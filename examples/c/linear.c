/* One Linear from C: y = x W^T + b.  cc linear.c $(pkg-config --cflags --libs maxlinear) */
#include <maxlinear.h>
#include <stdio.h>

int main(void) {
  float weight[] = {1, 2, 3, 4, 5, 6}, bias[] = {10, 20}, x[] = {1, 1, 1}, y[2];
  int64_t weight_shape[] = {2, 3}, in_shape[] = {3}, out_shape[] = {2};
  mxl_entry state[] = {
      {.name = "weight", .tensor = {.data = weight, .dtype = MXL_FLOAT32, .rank = 2, .shape = weight_shape}},
      {.name = "bias", .tensor = {.data = bias, .dtype = MXL_FLOAT32, .rank = 1, .shape = out_shape}}};
  mxl_tensor in = {.data = x, .dtype = MXL_FLOAT32, .rank = 1, .shape = in_shape};
  mxl_tensor out = {.data = y, .dtype = MXL_FLOAT32, .rank = 1, .shape = out_shape};
  mxl_linear_options options = {sizeof options, MXL_FLOAT32, .in_dim = 3, .out_dim = 2, .has_bias = 1};
  mxl_error error = MXL_ERROR_INIT;
  mxl_layer *layer = NULL;
  if (mxl_linear_create(&options, &layer, &error) || mxl_layer_load(layer, state, 2, MXL_LOAD_STRICT, &error) ||
      mxl_layer_prepare(layer, NULL, &error) || mxl_layer_forward(layer, NULL, &in, &out, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  printf("%g %g\n", y[0], y[1]); /* 16 35 */
  mxl_layer_destroy(layer);
  return 0;
}
