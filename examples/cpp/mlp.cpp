// The gated MLP of a checkpoint's layer, GGUF, safetensors or GPTQ.  c++ -std=c++20 mlp.cpp -lmaxlinear
//
// mlp CHECKPOINT LAYER ROWS X Y [THREADS [DEVICES]]: reads ROWS rows of float32 from the file X, writes those of y to the file Y; divided among
// DEVICES CPU devices, the y of each in turn.
#include <maxlinear.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

static mxl_error error = MXL_ERROR_INIT;
static void check(mxl_status status) {
  if (status != MXL_OK) throw std::runtime_error(error.message);
}

int main(int argc, char **argv) try {
  if (argc < 6) throw std::invalid_argument("usage: mlp CHECKPOINT LAYER ROWS X Y [THREADS [DEVICES]]");
  const int threads = argc > 6 ? std::stoi(argv[6]) : 0, devices = argc > 7 ? std::stoi(argv[7]) : 0;
  const char *checkpoint = argv[1];
  mxl_weights *opened = nullptr;
  check(mxl_weights_open(&checkpoint, 1, &opened, &error));
  std::unique_ptr<mxl_weights, decltype(&mxl_weights_destroy)> weights(opened, mxl_weights_destroy);
  mxl_layer *created = nullptr;
  std::vector<mxl_device> cpus;
  for (int i = 0; i < devices; i++) cpus.push_back({MXL_DEVICE_CPU, i});
  const mxl_mlp_weights_options what{
      .struct_size = sizeof what, .devices = cpus.data(), .device_count = cpus.size(), .distributed = devices > 0};
  check(mxl_mlp_create_from_weights(weights.get(), std::stol(argv[2]), &what, &created, &error));
  std::unique_ptr<mxl_layer, decltype(&mxl_layer_destroy)> layer(created, mxl_layer_destroy);
  check(mxl_layer_prepare(layer.get(), nullptr, &error));

  std::ifstream file(argv[4], std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<float> x(bytes.size() / sizeof(float)), y(x.size() * std::max(devices, 1));
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char *>(x.data()));
  const std::int64_t rows = std::stol(argv[3]), shape[] = {rows, static_cast<std::int64_t>(x.size()) / rows};
  std::vector<mxl_tensor> xs, ys;
  for (std::size_t at = 0; at < y.size(); at += x.size()) {
    xs.push_back({.data = x.data(), .dtype = MXL_FLOAT32, .rank = 2, .shape = shape});
    ys.push_back({.data = y.data() + at, .dtype = MXL_FLOAT32, .rank = 2, .shape = shape});
  }
  const mxl_run_options how{.struct_size = sizeof how, .threads = threads};
  check(devices > 0 ? mxl_layer_forward_devices(layer.get(), &how, xs.data(), ys.data(), xs.size(), &error)
                    : mxl_layer_forward(layer.get(), &how, xs.data(), ys.data(), &error));
  std::ofstream(argv[5], std::ios::binary).write(reinterpret_cast<const char *>(y.data()), y.size() * sizeof(float));
} catch (const std::exception &exception) {
  std::cerr << exception.what() << '\n';
  return 1;
}
