// The gated MLP of a checkpoint's layer, GGUF, safetensors or GPTQ.  c++ -std=c++17 mlp.cpp $(pkg-config --cflags --libs maxlinear)
//
// mlp CHECKPOINT LAYER ROWS X Y [THREADS [DEVICES]]: reads ROWS rows of float32 from the file X, writes those of y to the file Y; divided among
// DEVICES CPU devices, the y of each in turn.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <maxlinear.hpp>
#include <stdexcept>
#include <string>
#include <vector>

int main(int argc, char **argv) try {
  if (argc < 6) throw std::invalid_argument("usage: mlp CHECKPOINT LAYER ROWS X Y [THREADS [DEVICES]]");
  const std::int64_t number = std::stol(argv[2]), rows = std::stol(argv[3]);
  const int devices = argc > 7 ? std::stoi(argv[7]) : 0;
  maxlinear::run_options how;
  how.threads = argc > 6 ? std::stoi(argv[6]) : 0;

  std::ifstream file(argv[4], std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<float> x(bytes.size() / sizeof(float)), y(x.size() * std::max(devices, 1));
  std::memcpy(x.data(), bytes.data(), x.size() * sizeof(float));
  const maxlinear::dimensions shape{rows, static_cast<std::int64_t>(x.size()) / rows};

  const maxlinear::weights weights(argv[1]);
  if (devices > 0) {
    maxlinear::mlp_options options;
    options.devices = maxlinear::cpu_devices(devices);
    maxlinear::distributed_mlp mlp(weights, number, options);
    mlp.prepare();
    const std::vector<maxlinear::const_tensor> xs(devices, {x, shape});
    std::vector<maxlinear::tensor> ys;
    for (int device = 0; device < devices; device++) ys.push_back({y.data() + device * x.size(), shape});
    mlp.forward(xs, ys, how);
  } else {
    maxlinear::mlp mlp(weights, number);
    mlp.prepare();
    mlp.forward({x, shape}, {y, shape}, how);
  }
  std::ofstream(argv[5], std::ios::binary).write(reinterpret_cast<const char *>(y.data()), y.size() * sizeof(float));
} catch (const std::exception &exception) {
  std::cerr << exception.what() << '\n';
  return 1;
}
