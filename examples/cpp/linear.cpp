// One Linear from C++: y = x W^T + b.  c++ -std=c++20 linear.cpp -lmaxlinear
#include <maxlinear.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <stdexcept>

static mxl_error error = MXL_ERROR_INIT;
static void check(mxl_status status) {
  if (status != MXL_OK) throw std::runtime_error(error.message);
}

int main() try {
  float weight[] = {1, 2, 3, 4, 5, 6}, bias[] = {10, 20}, x[] = {1, 1, 1}, y[2];
  int64_t weight_shape[] = {2, 3}, in_shape[] = {3}, out_shape[] = {2};
  mxl_entry state[] = {
      {.name = "weight", .tensor = {.data = weight, .dtype = MXL_FLOAT32, .rank = 2, .shape = weight_shape}},
      {.name = "bias", .tensor = {.data = bias, .dtype = MXL_FLOAT32, .rank = 1, .shape = out_shape}}};
  mxl_tensor in{.data = x, .dtype = MXL_FLOAT32, .rank = 1, .shape = in_shape};
  mxl_tensor out{.data = y, .dtype = MXL_FLOAT32, .rank = 1, .shape = out_shape};
  mxl_linear_options options{
      .struct_size = sizeof options, .dtype = MXL_FLOAT32, .in_dim = 3, .out_dim = 2, .has_bias = 1};
  mxl_layer *created = nullptr;
  check(mxl_linear_create(&options, &created, &error));
  std::unique_ptr<mxl_layer, decltype(&mxl_layer_destroy)> layer(created, mxl_layer_destroy);
  check(mxl_layer_load(layer.get(), state, 2, MXL_LOAD_STRICT, &error));
  check(mxl_layer_prepare(layer.get(), nullptr, &error));
  check(mxl_layer_forward(layer.get(), nullptr, &in, &out, &error));
  std::cout << y[0] << ' ' << y[1] << '\n';  // 16 35
} catch (const std::exception &exception) {
  std::cerr << exception.what() << '\n';
  return 1;
}
