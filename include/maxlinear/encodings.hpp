/* The functions of maxlinear.hpp, which includes this, between values and encodings; see there. */
#ifndef MAXLINEAR_ENCODINGS_HPP
#define MAXLINEAR_ENCODINGS_HPP

#include "../maxlinear.hpp"

namespace maxlinear {

/* A block of an encoding: its weights and its bytes. */
struct block {
  std::int64_t elements = 0;
  std::int64_t bytes = 0;
};
inline block block_of(const std::string &encoding) {
  block made;
  detail::call(mxl_encoding_block, encoding.c_str(), &made.elements, &made.bytes);
  return made;
}

/* mxl_encoding_choose: the one of the two encodings in which rows of k values can be stored. */
inline std::string choose_encoding(const std::string &encoding, const std::string &fallback, std::int64_t k) {
  const char *chosen = nullptr;
  detail::call(mxl_encoding_choose, encoding.c_str(), detail::text_or_null(fallback), k, &chosen);
  return chosen;
}

namespace detail {

/* The shape whose last dimension has `wanted` where this one has `given`. */
inline dimensions other_shape(const dimensions &shape, std::int64_t given, std::int64_t wanted, const char *argument) {
  const std::int64_t last = shape.rank() == 0 ? -1 : shape[shape.rank() - 1];
  if (last < 0 || last % given != 0 || last / given > INT64_MAX / wanted)
    throw error(MXL_INVALID_SHAPE,
                std::string(argument) + ": expected a last dimension that is a multiple of " + std::to_string(given));
  return shape.with_last(last / given * wanted);
}

template <class Element>
std::vector<Element> elements_of(const dimensions &shape) {
  const std::int64_t count = shape.count();
  if (count < 0) throw error(MXL_INVALID_SHAPE, "shape: has too many elements");
  return std::vector<Element>(static_cast<std::size_t>(count));
}

inline mxl_quantize_options quantize_settings(std::int32_t threads, const mxl_tensor *importance) {
  auto options = sized<mxl_quantize_options>();
  options.threads = threads;
  options.importance = importance;
  return options;
}

}  // namespace detail

/* mxl_quantize: the blocks (..., row bytes) of values (..., K). importance: float32 (K), or none. */
inline std::vector<std::uint8_t> quantize(const std::string &encoding, const const_tensor &values,
                                          const std::optional<const_tensor> &importance = {},
                                          std::int32_t threads = 0) {
  const block size = block_of(encoding);
  const dimensions shape = detail::other_shape(values.shape(), size.elements, size.bytes, "values");
  auto blocks = detail::elements_of<std::uint8_t>(shape);
  const mxl_tensor in = values.c(), weight = importance ? importance->c() : mxl_tensor{};
  const mxl_quantize_options options = detail::quantize_settings(threads, importance ? &weight : nullptr);
  const tensor made(blocks, shape);
  mxl_tensor out = made.c();
  detail::call(mxl_quantize, encoding.c_str(), &options, &in, &out);
  return blocks;
}

/* mxl_dequantize: the values (..., K) of blocks (..., row bytes). */
inline std::vector<float> dequantize(const std::string &encoding, const const_tensor &blocks) {
  const block size = block_of(encoding);
  const dimensions shape = detail::other_shape(blocks.shape(), size.bytes, size.elements, "blocks");
  auto values = detail::elements_of<float>(shape);
  const mxl_tensor in = blocks.c();
  const tensor made(values, shape);
  mxl_tensor out = made.c();
  detail::call(mxl_dequantize, encoding.c_str(), &in, &out);
  return values;
}

/* mxl_weights_quantization: how a checkpoint's GPTQ or AWQ tensors are quantized; none where no file beside it says. */
inline std::optional<quantization> quantization_of(const weights &from) {
  auto found = detail::sized<mxl_quantization>();
  try {
    detail::call(mxl_weights_quantization, from.c(), &found);
  } catch (const error &failure) {
    if (failure.status() == MXL_MISSING_KEY) return {};
    throw;
  }
  quantization made;
  made.bits = found.bits;
  made.group_size = found.group_size;
  made.desc_act = found.desc_act != 0;
  made.sym = found.sym != 0;
  made.quant_method = found.quant_method;
  if (found.checkpoint_format != nullptr) made.checkpoint_format = found.checkpoint_format;
  return made;
}

/* mxl_quantize_gptq, into tensors of the caller's. */
inline void quantize_gptq(const quantization &how, const const_tensor &values, const tensor &qweight,
                          const tensor &qzeros, const tensor &scales, std::int32_t threads = 0) {
  const mxl_quantization config = how.c();
  const mxl_quantize_options options = detail::quantize_settings(threads, nullptr);
  const mxl_tensor in = values.c();
  mxl_tensor codes = qweight.c(), zeros = qzeros.c(), factors = scales.c();
  detail::call(mxl_quantize_gptq, &config, &options, &in, &codes, &zeros, &factors);
}

/* mxl_quantize_float8, into tensors of the caller's; without scale, of a scale of 1. */
inline void quantize_float8(const const_tensor &values, const tensor &weight, const std::optional<tensor> &scale = {},
                            std::int32_t threads = 0) {
  const mxl_quantize_options options = detail::quantize_settings(threads, nullptr);
  const mxl_tensor in = values.c();
  mxl_tensor codes = weight.c(), factors = scale ? scale->c() : mxl_tensor{};
  detail::call(mxl_quantize_float8, &options, &in, &codes, scale ? &factors : nullptr);
}

/* mxl_dequantize_float8, into values of the caller's. */
inline void dequantize_float8(const const_tensor &weight, const std::optional<const_tensor> &scale,
                              const tensor &values) {
  const mxl_tensor codes = weight.c(), factors = scale ? scale->c() : mxl_tensor{};
  mxl_tensor out = values.c();
  detail::call(mxl_dequantize_float8, &codes, scale ? &factors : nullptr, &out);
}

}  // namespace maxlinear

#endif
