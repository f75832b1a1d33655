// Any bytes as a GGUF file.
#include "checkpoint.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static fuzz::folder folder;
  fuzz::explore(folder.write("model.gguf", data, size));
  return 0;
}
