/* A Linear of quantized blocks from C, as ggml_quantize_chunk and ggml_mul_mat would do it.  cc blocks.c $(pkg-config --cflags --libs maxlinear) */
#include <maxlinear.h>
#include <stdio.h>
#include <stdlib.h>

enum { K = 64, N = 2, M = 2 };

int main(void) {
  float w[N * K], x[M * K], y[M * N];
  for (int k = 0; k < K; k++) {
    w[k] = k % 2 ? 127 : 0;
    w[K + k] = k < 8 ? -127 : 0;
    x[k] = 1;
    x[K + k] = 0.5f;
  }
  mxl_error error = MXL_ERROR_INIT;
  mxl_layer *layer = NULL;

  /* ggml_row_size(GGML_TYPE_Q8_0, K) is K / elements * bytes. */
  int64_t elements = 0, bytes = 0;
  if (mxl_encoding_block("Q8_0", &elements, &bytes, &error)) return fprintf(stderr, "%s\n", error.message), 1;
  int64_t w_shape[] = {N, K}, block_shape[] = {N, K / elements * bytes}, x_shape[] = {M, K}, y_shape[] = {M, N};
  void *blocks = malloc((size_t)(block_shape[0] * block_shape[1]));
  if (blocks == NULL) return 1;

  /* ggml_quantize_chunk(GGML_TYPE_Q8_0, w, blocks, 0, N, K, NULL) */
  mxl_tensor values = {.data = w, .dtype = MXL_FLOAT32, .rank = 2, .shape = w_shape};
  mxl_tensor stored = {.data = blocks, .dtype = MXL_UINT8, .rank = 2, .shape = block_shape};
  if (mxl_quantize("Q8_0", NULL, &values, &stored, &error)) return fprintf(stderr, "%s\n", error.message), 1;

  /* A layer has the weight and a place for its kernel's form of it. Made once, called often. */
  mxl_linear_options options = {sizeof options, MXL_UINT8, .in_dim = K, .out_dim = N, .encoding = "Q8_0"};
  mxl_entry weight = {.name = "weight", .encoding = "Q8_0", .tensor = stored};
  if (mxl_linear_create(&options, &layer, &error) || mxl_layer_load(layer, &weight, 1, MXL_LOAD_STRICT, &error) ||
      mxl_layer_prepare(layer, NULL, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  free(blocks);

  /* ggml_mul_mat(context, weight, x): ne is {K, N}, {K, M} and {N, M} there, and the bytes lie alike. */
  mxl_tensor in = {.data = x, .dtype = MXL_FLOAT32, .rank = 2, .shape = x_shape};
  mxl_tensor out = {.data = y, .dtype = MXL_FLOAT32, .rank = 2, .shape = y_shape};
  mxl_run_options how = {sizeof how, .threads = 2};
  if (mxl_layer_forward(layer, &how, &in, &out, &error)) return fprintf(stderr, "%s\n", error.message), 1;
  printf("%g %g %g %g\n", y[0], y[1], y[2], y[3]); /* 4064 -1016 2032 -508 */
  mxl_layer_destroy(layer);
  return 0;
}
