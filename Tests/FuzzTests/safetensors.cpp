// Any bytes as a safetensors file.
#include "checkpoint.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static fuzz::folder folder;
  fuzz::explore(folder.write("model.safetensors", data, size));
  return 0;
}
