// Prepared layers called with x and y of any rank, shape, strides, dtype and place. Where the call is taken, every row has the bits it has
// alone, NaN a NaN, and nothing beside the rows of y changes; where it is refused, nothing does.
#include "input.hpp"

extern "C" {
#include "kernels.h"
}

namespace {

struct model {
  mxl_layer *layer;
  int64_t in_dim, out_dim;
};

mxl_layer *linear(const mxl_encoding *encoding, int64_t in_dim, int64_t out_dim, int32_t pack, bool has_bias) {
  bool is_dense = encoding->dtype != MXL_UINT8;
  mxl_linear_options options = {};
  options.struct_size = sizeof options;
  options.dtype = encoding->dtype;
  options.in_dim = in_dim;
  options.out_dim = out_dim;
  options.has_bias = has_bias;
  options.encoding = is_dense ? nullptr : encoding->name;
  mxl_layer *layer = nullptr;
  EXPECT(CHECKED(mxl_linear_create, &options, &layer) == MXL_OK);
  int64_t row_bytes = in_dim / encoding->elements_per_block * encoding->block_size;
  std::vector<uint8_t> bytes(static_cast<size_t>(out_dim * row_bytes));
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<uint8_t>((i * 37 + i / 7) & 0x3f);
  mxl_entry wanted = {};
  EXPECT(CHECKED(mxl_layer_entry, layer, has_bias, &wanted) == MXL_OK);
  int32_t bias_dtype = wanted.tensor.dtype;
  if (wanted.release != nullptr) wanted.release(wanted.owner);
  // 0x3f3f is a number in each of the float types.
  std::vector<uint8_t> bias(static_cast<size_t>(4 * out_dim), 0x3f);
  const int64_t shape[] = {out_dim, is_dense ? in_dim : row_bytes};
  mxl_entry entries[2] = {};
  entries[0].name = "weight";
  entries[0].encoding = options.encoding;
  entries[0].tensor = {bytes.data(), encoding->dtype, 2, {}, shape, nullptr};
  entries[1].name = "bias";
  entries[1].tensor = {bias.data(), bias_dtype, 1, {}, &out_dim, nullptr};
  EXPECT(CHECKED(mxl_layer_load, layer, entries, 1 + has_bias, MXL_LOAD_STRICT) == MXL_OK);
  mxl_prepare_options prepare = {sizeof(mxl_prepare_options), MXL_COMPUTE_DEFAULT, pack, 1};
  EXPECT(CHECKED(mxl_layer_prepare, layer, &prepare) == MXL_OK);
  return layer;
}

std::vector<model> models() {
  std::vector<model> made;
  const mxl_encoding *dense = mxlk_encoding_find("F32");
  for (size_t i = 0; i < mxlk_encoding_count(); i++) {
    const mxl_encoding *encoding = mxlk_encoding_at(i);
    if (std::strncmp(encoding->name, "GPTQ", 4) == 0) continue;
    int64_t in_dim = encoding->elements_per_block == 1 ? 5 : encoding->elements_per_block;
    made.push_back({linear(encoding, in_dim, 17, MXL_PACK_ALWAYS, i % 2 == 0), in_dim, 17});
    made.push_back({linear(encoding, in_dim, 3, MXL_PACK_NEVER, i % 2 == 1), in_dim, 3});
  }
  mxl_layer *parts[] = {linear(dense, 5, 7, MXL_PACK_ALWAYS, true), linear(dense, 7, 4, MXL_PACK_ALWAYS, false),
                        linear(dense, 5, 7, MXL_PACK_ALWAYS, false)};
  for (int32_t activation = MXL_ACTIVATION_SILU; activation <= MXL_ACTIVATION_SIGMOID; activation++) {
    mxl_layer *mlp = nullptr;
    EXPECT(CHECKED(mxl_mlp_create_from, parts[0], parts[1], parts[2], activation, &mlp) == MXL_OK);
    EXPECT(CHECKED(mxl_layer_prepare, mlp, nullptr) == MXL_OK);
    made.push_back({mlp, 5, 4});
  }
  for (mxl_layer *part : parts) mxl_layer_destroy(part);
  return made;
}

// A view, and the bytes that it covers: [low, high) from its first element.
struct view {
  mxl_tensor tensor = {};
  std::vector<int64_t> shape, strides;
  __int128 low = 0, high = 0;
  bool is_empty = false, is_wild = false;

  // Wild is what no address space holds.
  void measure() {
    constexpr __int128 most = INT64_MAX;
    __int128 element = mxl_dtype_bits(tensor.dtype) / 8, step = 1;
    high = element;
    for (int64_t dimension : shape) is_empty = is_empty || dimension == 0, is_wild = is_wild || dimension < 0;
    for (size_t axis = shape.size(); axis-- > 0 && !is_wild;) {
      __int128 stride = strides.empty() ? step : strides[axis];
      __int128 reach = (static_cast<__int128>(shape[axis]) - 1) * stride;
      is_wild = reach > most || reach < -most;
      if (shape[axis] > 0 && !is_wild) (reach < 0 ? low : high) += reach * element;
      step *= std::max<int64_t>(shape[axis], 1);
      is_wild = is_wild || step > most || high > most || low < -most;
    }
  }
};

constexpr int64_t MOST_BYTES = 1 << 14;

void fill(view &v, fuzz::input &input, const std::vector<int64_t> *leading, int64_t width) {
  static const int32_t dtypes[] = {MXL_FLOAT32, MXL_FLOAT16, MXL_BFLOAT16};
  v.tensor.dtype = input.number<uint8_t>() < 240 ? input.one_of(dtypes) : input.enumerator(MXL_INT64);
  if (leading != nullptr && input.number<uint8_t>() < 230) {
    v.shape = *leading;
    v.shape.back() = input.number<uint8_t>() < 240 ? width : input.size(20);
  } else {
    v.shape.resize(input.below(input.flag() ? 4 : MXL_MAX_RANK + 1));
    for (int64_t &dimension : v.shape) dimension = input.size(input.flag() ? 3 : 8);
    if (!v.shape.empty() && input.number<uint8_t>() < 240) v.shape.back() = width;
  }
  if (input.flag()) {
    for (size_t axis = 0; axis < v.shape.size(); axis++) v.strides.push_back(input.size(40));
    if (!v.strides.empty() && input.number<uint8_t>() < 240) v.strides.back() = 1;
  }
  v.tensor.rank = static_cast<int32_t>(v.shape.size());
  if (input.number<uint8_t>() > 250) v.tensor.device = {input.enumerator(3), input.enumerator(1)};
  v.tensor.shape = v.shape.data();
  v.tensor.strides = v.strides.empty() ? nullptr : v.strides.data();
  v.measure();
}

// Byte offset of a row's first element.
int64_t row_at(const view &v, int64_t row) {
  int64_t element = mxl_dtype_bits(v.tensor.dtype) / 8, offset = 0, step = v.shape.back();
  for (size_t axis = v.shape.size() - 1; axis-- > 0;) {
    offset += row % v.shape[axis] * (v.strides.empty() ? step : v.strides[axis]) * element;
    row /= v.shape[axis];
    step *= v.shape[axis];
  }
  return offset;
}

bool is_nan(int32_t dtype, const uint8_t *element) {
  uint32_t bits = 0;
  std::memcpy(&bits, element, static_cast<size_t>(mxl_dtype_bits(dtype) / 8));
  if (dtype == MXL_FLOAT32) return (bits & 0x7fffffff) > 0x7f800000;
  return (bits & 0x7fff) > (dtype == MXL_FLOAT16 ? 0x7c00 : 0x7f80);
}

// Writes what each row is alone into `wanted`, or what it is in `found` where both are NaN, whose sign and payload are free.
void check_rows(const model &m, const view &x, const view &y, const uint8_t *x_before,
                const std::vector<uint8_t> &found, std::vector<uint8_t> &wanted) {
  int64_t rows = 1;
  for (size_t axis = 0; axis + 1 < x.shape.size(); axis++) rows *= x.shape[axis];
  int64_t x_bytes = m.in_dim * mxl_dtype_bits(x.tensor.dtype) / 8,
          y_bytes = m.out_dim * mxl_dtype_bits(y.tensor.dtype) / 8;
  std::vector<uint8_t> one_x(static_cast<size_t>(x_bytes)), one_y(static_cast<size_t>(y_bytes));
  mxl_tensor from = {one_x.data(), x.tensor.dtype, 1, {}, &m.in_dim, nullptr};
  mxl_tensor to = {one_y.data(), y.tensor.dtype, 1, {}, &m.out_dim, nullptr};
  for (int64_t row = 0; row < rows; row++) {
    std::memcpy(one_x.data(), x_before + row_at(x, row), one_x.size());
    EXPECT(CHECKED(mxl_layer_forward, m.layer, nullptr, &from, &to) == MXL_OK);
    int64_t begin = static_cast<int64_t>(-y.low) + row_at(y, row), element = y_bytes / m.out_dim;
    for (int64_t at = 0; at < y_bytes; at += element) {
      const uint8_t *alone = one_y.data() + at, *together = found.data() + begin + at;
      bool both = is_nan(y.tensor.dtype, alone) && is_nan(y.tensor.dtype, together);
      std::memcpy(wanted.data() + begin + at, both ? together : alone, static_cast<size_t>(element));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const struct owner {
    std::vector<model> models = ::models();
    ~owner() {
      for (const model &one : models) mxl_layer_destroy(one.layer);
    }
  } all;
  fuzz::input input(data, size);
  const model &m = all.models[input.below(all.models.size())];
  view x, y;
  fill(x, input, nullptr, m.in_dim);
  fill(y, input, input.flag() || x.shape.empty() ? nullptr : &x.shape, m.out_dim);
  mxl_run_options options = {input.struct_size(sizeof(mxl_run_options)), input.enumerator(3), 0};
  bool accumulates = input.number<uint8_t>() > 240;
  if (accumulates) options.accumulate = input.enumerator(1);
  bool is_sound = !x.is_wild && !y.is_wild && x.high - x.low <= MOST_BYTES && y.high - y.low <= MOST_BYTES;
  std::vector<uint8_t> x_bytes, y_bytes, shared;
  if (!is_sound) {
    // Memory that nobody has: taken only where there is nothing to read and write.
    if (!x.is_wild && !y.is_wild && !x.is_empty && !y.is_empty) return 0;
    x.tensor.data = x.is_empty ? nullptr : reinterpret_cast<void *>(64);
    y.tensor.data = y.is_empty ? nullptr : reinterpret_cast<void *>(64);
    mxl_status status = CHECKED(mxl_layer_forward, m.layer, &options, &x.tensor, &y.tensor);
    EXPECT(status != MXL_OK || (x.is_empty && y.is_empty));
    return 0;
  }
  x_bytes = input.repeated(x.is_empty ? 0 : static_cast<size_t>(x.high - x.low));
  y_bytes.assign(y.is_empty ? 0 : static_cast<size_t>(y.high - y.low), 0x3f);
  x.tensor.data = x.is_empty ? nullptr : x_bytes.data() - static_cast<int64_t>(x.low);
  y.tensor.data = y.is_empty ? nullptr : y_bytes.data() - static_cast<int64_t>(y.low);
  if (!x.is_empty && !y.is_empty && input.number<uint8_t>() > 230) {
    // Both in one array, perhaps over one another: only that nothing breaks.
    shared.assign(static_cast<size_t>(2 * MOST_BYTES), 0);
    x.tensor.data = shared.data() + input.below(static_cast<size_t>(MOST_BYTES)) - static_cast<int64_t>(x.low);
    y.tensor.data = shared.data() + input.below(static_cast<size_t>(MOST_BYTES)) - static_cast<int64_t>(y.low);
  }
  std::vector<uint8_t> wanted = y_bytes;
  mxl_status status = CHECKED(mxl_layer_forward, m.layer, &options, &x.tensor, &y.tensor);
  if (!shared.empty() || (status == MXL_OK && accumulates)) return 0;
  if (status == MXL_OK && !y_bytes.empty())
    check_rows(m, x, y, static_cast<const uint8_t *>(x.tensor.data), y_bytes, wanted);
  if (status == MXL_OK) {
    EXPECT(x.shape.size() == y.shape.size() && x.shape.back() == m.in_dim && y.shape.back() == m.out_dim);
  }
  EXPECT(y_bytes == wanted);
  return 0;
}
