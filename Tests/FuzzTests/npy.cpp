// Any bytes as the .npy file that the command reads: see npy.swift.
#include "checkpoint.hpp"

extern "C" int32_t fuzz_npy(const char *path, const char *again);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static fuzz::folder folder;
  static const std::string again = folder.path("again.npy");
  std::string path = folder.write("x.npy", data, size);
  int32_t status = fuzz_npy(path.c_str(), again.c_str());
  EXPECT(status == MXL_OK || status == MXL_INVALID_FILE || status == MXL_UNSUPPORTED);
  if (status == MXL_OK) EXPECT(unlink(again.c_str()) == 0);
  return 0;
}
