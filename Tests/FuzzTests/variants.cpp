// Any shapes, weights and x through every kernel row that this CPU runs: the bits are those of the scalar row.
#include "input.hpp"

#include <cmath>

extern "C" {
#include "kernels.h"
}

namespace {

struct problem {
  const mxl_encoding *encoding;
  int32_t compute, threads;
  int64_t rows, out_dim, in_dim;
  bool has_bias, accumulate;
  mxl_source source;
  std::vector<uint8_t> stored, x;
  std::vector<float> bias, before;
};

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// GPTQ's blocks are made of tensors, whose zeros are at most 2^bits; two bytes of 8 bits hold them all.
void bound_zeros(const mxl_encoding &encoding, std::vector<uint8_t> &stored) {
  if (std::strncmp(encoding.name, "GPTQ", 4) != 0 || encoding.name[4] == '8') return;
  int bits = encoding.name[4] == '2' ? 2 : 4;
  size_t block = static_cast<size_t>(encoding.block_size);
  size_t zero = block - static_cast<size_t>(encoding.elements_per_block * bits / 8) - 1;
  for (; zero < stored.size(); zero += block) stored[zero] %= (1 << bits) + 1;
}

std::vector<float> run(const problem &p, const mxl_kernel_row *row, const void *packed, int32_t threads) {
  std::vector<float> y = p.before;
  mxlk_linear_weights weights = {};
  weights.row = row;
  weights.source = p.source;
  weights.packed = packed;
  if (packed != nullptr) weights.source.data = nullptr;
  if (p.has_bias) weights.bias = p.bias.data();
  mxlk_linear_job job = {};
  job.weights = &weights;
  job.x = p.x.data();
  job.y = y.data();
  job.x_dtype = p.compute == MXL_COMPUTE_BFLOAT16 ? MXL_BFLOAT16 : MXL_FLOAT32;
  job.y_dtype = MXL_FLOAT32;
  job.rows.rank = 1;
  job.rows.shape[0] = p.rows;
  job.rows.x_strides[0] = p.in_dim;
  job.rows.y_strides[0] = p.out_dim;
  job.accumulate = p.accumulate;
  job.threads = threads;
  EXPECT(mxlk_linear_run(&job) == MXL_OK);
  return y;
}

void compare(const problem &p, const mxl_kernel_row *row, const std::vector<float> &want) {
  std::vector<float> got = run(p, row, nullptr, p.threads);
  for (int pass = 0; pass < 2; pass++) {
    for (size_t i = 0; i < want.size(); i++) {
      bool is_same = bits_of(got[i]) == bits_of(want[i]) || (std::isnan(got[i]) && std::isnan(want[i]));
      fuzz::expect(is_same, pass == 0 ? "the source's bits:" : "packed, the bits:", __FILE__, __LINE__, row->name);
    }
    if (pass == 1) return;
    void *packed =
        mxlk_allocate(mxlk_panel_bytes(row, p.in_dim) * static_cast<size_t>(mxlk_panel_count(row, p.out_dim)));
    EXPECT(packed != nullptr);
    mxlk_linear_pack(row, &p.source, packed, p.threads);
    got = run(p, row, packed, p.threads);
    if (row->unpack != nullptr && std::isinf(p.source.clip)) {
      std::vector<uint8_t> unpacked(p.stored.size());
      mxl_source destination = p.source;
      destination.data = unpacked.data();
      mxlk_linear_unpack(row, packed, &destination, 1);
      fuzz::expect(unpacked == p.stored, "unpack gives back what was packed:", __FILE__, __LINE__, row->name);
    }
    mxlk_free(packed);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int32_t computes[] = {MXL_COMPUTE_FLOAT32, MXL_COMPUTE_INT8, MXL_COMPUTE_BFLOAT16};
  fuzz::input input(data, size);
  problem p = {};
  p.encoding = mxlk_encoding_at(input.number<uint8_t>() % mxlk_encoding_count());
  p.compute = input.one_of(computes);
  const mxl_kernel_row *scalar = mxlk_row_find(MXL_OP_LINEAR, p.encoding->name, p.compute, 0);
  if (scalar == nullptr) return 0;
  p.threads = 1 + static_cast<int32_t>(input.below(3));
  p.rows = 1 + static_cast<int64_t>(input.below(20));
  p.out_dim = 1 + static_cast<int64_t>(input.below(40));
  int64_t blocks = (input.flag() ? 64 : 320) / p.encoding->elements_per_block;
  p.in_dim = (1 + static_cast<int64_t>(input.below(static_cast<size_t>(std::max<int64_t>(blocks, 2))))) *
             p.encoding->elements_per_block;
  p.has_bias = input.flag();
  p.accumulate = input.flag();
  bool clips = input.flag() && p.encoding->dtype != MXL_UINT8 && p.encoding->block_size > 1;
  int64_t row_bytes = p.in_dim / p.encoding->elements_per_block * p.encoding->block_size;
  size_t x_size = p.compute == MXL_COMPUTE_BFLOAT16 ? 2 : 4;
  p.bias.resize(static_cast<size_t>(p.out_dim));
  for (float &value : p.bias) value = input.number<float>();
  p.x = input.repeated(static_cast<size_t>(p.rows * p.in_dim) * x_size);
  if (input.left() > 64) input.text(64);
  p.stored = input.repeated(static_cast<size_t>(p.out_dim * row_bytes));
  bound_zeros(*p.encoding, p.stored);
  p.before.assign(static_cast<size_t>(p.rows * p.out_dim), 1.5f);
  p.source = {sizeof(mxl_source), clips ? 0.5f : INFINITY, p.stored.data(), row_bytes, p.in_dim, p.out_dim};
  std::vector<float> want = run(p, scalar, nullptr, 1);
  for (size_t i = 0; i < mxlk_row_count(); i++) {
    const mxl_kernel_row *row = mxlk_row_at(i);
    if (row->op != MXL_OP_LINEAR || row->compute != p.compute || std::strcmp(row->encoding, p.encoding->name) != 0)
      continue;
    if ((row->cpu_features & ~mxlk_cpu_features()) == 0) compare(p, row, want);
  }
  return 0;
}
