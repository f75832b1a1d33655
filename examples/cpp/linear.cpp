// One Linear from C++: y = x W^T + b.  c++ -std=c++17 linear.cpp $(pkg-config --cflags --libs maxlinear)
#include <iostream>
#include <maxlinear.hpp>
#include <vector>

int main() try {
  const std::vector<float> weight{1, 2, 3, 4, 5, 6}, bias{10, 20}, x{1, 1, 1};
  std::vector<float> y(2);
  maxlinear::linear_options options;
  options.has_bias = true;
  maxlinear::linear layer(3, 2, options);
  layer.load({{"weight", {weight, {2, 3}}}, {"bias", bias}});
  layer.prepare();
  layer.forward(x, y);
  std::cout << y[0] << ' ' << y[1] << '\n';  // 16 35
} catch (const maxlinear::error &error) {
  std::cerr << error.what() << '\n';
  return 1;
}
