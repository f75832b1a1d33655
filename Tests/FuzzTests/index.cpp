// Any bytes as the index of two safetensors files.
#include "checkpoint.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static fuzz::folder folder;
  static const bool is_ready = [] {
    folder.write_safetensors("a.safetensors", {{"x.weight", "F32", {2, 3}}, {"x.bias", "F32", {2}}});
    folder.write_safetensors("b.safetensors", {{"y.weight", "F16", {4, 2}}});
    return true;
  }();
  static_cast<void>(is_ready);
  fuzz::explore(folder.write("model.safetensors.index.json", data, size));
  return 0;
}
