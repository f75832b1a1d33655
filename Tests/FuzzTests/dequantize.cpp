// Any bytes as the blocks of every encoding: to values, each block for itself and all at once, and back to blocks.
#include "input.hpp"

#include <cmath>

extern "C" {
#include "kernels.h"
}

namespace {

mxl_tensor view(void *data, int32_t dtype, const int64_t *shape) { return {data, dtype, 2, {}, shape, nullptr}; }

void back(const mxl_encoding *encoding, int32_t dtype, std::vector<uint8_t> &values, const int64_t *values_shape,
          const int64_t *blocks_shape, fuzz::input &input) {
  std::vector<uint8_t> blocks(static_cast<size_t>(blocks_shape[0] * blocks_shape[1]));
  std::vector<float> importance(static_cast<size_t>(values_shape[1]));
  for (float &weight : importance) weight = std::fabs(static_cast<float>(input.number<int8_t>()));
  mxl_tensor weights = {importance.data(), MXL_FLOAT32, 1, {}, &values_shape[1], nullptr};
  mxl_quantize_options options = {};
  options.struct_size = sizeof options;
  options.threads = 1;
  if (input.flag()) options.importance = &weights;
  mxl_tensor from = view(values.data(), dtype, values_shape), to = view(blocks.data(), MXL_UINT8, blocks_shape);
  mxl_status status = CHECKED(mxl_quantize, encoding->name, &options, &from, &to);
  EXPECT(status == MXL_OK || status == MXL_INVALID_ARGUMENT || encoding->quantize == nullptr);
  if (status != MXL_OK) return;
  // What quantize writes is finite.
  std::vector<float> again(static_cast<size_t>(values_shape[0] * values_shape[1]));
  mxl_tensor decoded = view(again.data(), MXL_FLOAT32, values_shape);
  EXPECT(CHECKED(mxl_dequantize, encoding->name, &to, &decoded) == MXL_OK);
  for (float value : again) EXPECT(std::isfinite(value));
}

void blocks_of(const mxl_encoding *encoding, fuzz::input &input) {
  static const int32_t dtypes[] = {MXL_FLOAT32, MXL_FLOAT16, MXL_BFLOAT16};
  int32_t dtype = input.one_of(dtypes);
  int64_t rows = 1 + static_cast<int64_t>(input.below(3)), count = 1 + static_cast<int64_t>(input.below(4));
  int64_t k = count * encoding->elements_per_block;
  const int64_t blocks_shape[] = {rows, count * encoding->block_size}, values_shape[] = {rows, k};
  std::vector<uint8_t> blocks = input.repeated(static_cast<size_t>(rows * blocks_shape[1]));
  std::vector<uint8_t> values(static_cast<size_t>(rows * k * (dtype == MXL_FLOAT32 ? 4 : 2)));
  mxl_tensor from = view(blocks.data(), MXL_UINT8, blocks_shape), to = view(values.data(), dtype, values_shape);
  EXPECT(CHECKED(mxl_dequantize, encoding->name, &from, &to) == MXL_OK);

  std::vector<float> one(static_cast<size_t>(encoding->elements_per_block));
  std::vector<uint8_t> wide(one.size() * 4), block(static_cast<size_t>(encoding->block_size));
  size_t bytes = one.size() * (dtype == MXL_FLOAT32 ? 4 : 2);
  for (int64_t i = 0; i < rows * count; i++) {
    std::memcpy(block.data(), blocks.data() + static_cast<size_t>(i) * block.size(), block.size());
    encoding->dequantize(block.data(), encoding->elements_per_block, one.data());
    mxlk_convert(MXL_FLOAT32, one.data(), dtype, wide.data(), encoding->elements_per_block);
    EXPECT(std::memcmp(wide.data(), values.data() + static_cast<size_t>(i) * bytes, bytes) == 0);
  }
  back(encoding, dtype, values, values_shape, blocks_shape, input);
}

// The dense encodings, whose blocks are numbers.
void numbers_of(const mxl_encoding *encoding, fuzz::input &input) {
  int64_t count = 1 + static_cast<int64_t>(input.below(64));
  std::vector<uint8_t> stored = input.repeated(static_cast<size_t>(count * encoding->block_size));
  std::vector<float> values(static_cast<size_t>(count));
  encoding->dequantize(stored.data(), count, values.data());
  if (encoding->block_size > 1) return;
  mxl_tensor codes = {stored.data(), encoding->dtype, 1, {}, &count, nullptr};
  mxl_tensor to = {values.data(), MXL_FLOAT32, 1, {}, &count, nullptr};
  EXPECT(CHECKED(mxl_dequantize_float8, &codes, nullptr, &to) == MXL_OK);
  static_cast<void>(CHECKED(mxl_quantize_float8, nullptr, &to, &codes, nullptr));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::input input(data, size);
  const mxl_encoding *encoding = mxlk_encoding_at(input.number<uint8_t>() % mxlk_encoding_count());
  if (encoding->dtype != MXL_UINT8)
    numbers_of(encoding, input);
  else if (std::strncmp(encoding->name, "GPTQ", 4) != 0)
    blocks_of(encoding, input);
  return 0;
}
