/* maxlinear for C++17: maxlinear.h with handles that end by themselves, and exceptions.
 *
 * A thin face: the functions of maxlinear.h do the work, and their comments say what holds. Here only what differs:
 *
 * - A call that fails throws maxlinear::error, with the status and the message. A failed call changes nothing.
 * - tensor and const_tensor are views; whoever makes one keeps the elements alive while it is used.
 * - layer and weights share their handle among copies, which are cheap. A moved-from one may only be assigned to or destroyed.
 *
 * Header only; link libmaxlinear. */
#ifndef MAXLINEAR_HPP
#define MAXLINEAR_HPP

#include "maxlinear.h"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>
#if __cplusplus > 202002L && __has_include(<stdfloat>)
#include <stdfloat>
#endif

namespace maxlinear {

/* What a failed call came to; what() is the message. */
class error : public std::runtime_error {
 public:
  error(mxl_status status, const std::string &message) : std::runtime_error(message), status_(status) {}
  mxl_status status() const noexcept { return status_; }

 private:
  mxl_status status_;
};

namespace detail {

/* function(arguments..., &error), whose failure is thrown. */
template <class Function, class... Arguments>
void call(Function function, Arguments... arguments) {
  mxl_error failure = MXL_ERROR_INIT;
  const mxl_status status = function(arguments..., &failure);
  if (status != MXL_OK) throw error(status, failure.message);
}

/* A struct of the C header, zeroed, that knows its size. */
template <class Struct>
Struct sized() {
  Struct made{};
  made.struct_size = sizeof made;
  return made;
}

inline const char *text_or_null(const std::string &text) { return text.empty() ? nullptr : text.c_str(); }

}  // namespace detail

/* mxl_dtype */
enum class dtype : std::int32_t {
  none = MXL_DTYPE_NONE,
  float32 = MXL_FLOAT32,
  float16 = MXL_FLOAT16,
  bfloat16 = MXL_BFLOAT16,
  float64 = MXL_FLOAT64,
  float8_e4m3 = MXL_FLOAT8_E4M3,
  float8_e5m2 = MXL_FLOAT8_E5M2,
  float8_e8m0 = MXL_FLOAT8_E8M0,
  boolean = MXL_BOOL,
  uint8 = MXL_UINT8,
  int8 = MXL_INT8,
  uint16 = MXL_UINT16,
  int16 = MXL_INT16,
  uint32 = MXL_UINT32,
  int32 = MXL_INT32,
  uint64 = MXL_UINT64,
  int64 = MXL_INT64
};

/* The dtype of a C++ type. Specialize it for a 16-bit float of your own. */
template <class Element>
struct dtype_of {};
template <dtype Value>
struct is_dtype {
  static constexpr dtype value = Value;
};
// clang-format off
template <> struct dtype_of<float> : is_dtype<dtype::float32> {};
template <> struct dtype_of<double> : is_dtype<dtype::float64> {};
template <> struct dtype_of<bool> : is_dtype<dtype::boolean> {};
template <> struct dtype_of<std::uint8_t> : is_dtype<dtype::uint8> {};
template <> struct dtype_of<std::int8_t> : is_dtype<dtype::int8> {};
template <> struct dtype_of<std::uint16_t> : is_dtype<dtype::uint16> {};
template <> struct dtype_of<std::int16_t> : is_dtype<dtype::int16> {};
template <> struct dtype_of<std::uint32_t> : is_dtype<dtype::uint32> {};
template <> struct dtype_of<std::int32_t> : is_dtype<dtype::int32> {};
template <> struct dtype_of<std::uint64_t> : is_dtype<dtype::uint64> {};
template <> struct dtype_of<std::int64_t> : is_dtype<dtype::int64> {};
#ifdef __STDCPP_FLOAT16_T__
template <> struct dtype_of<std::float16_t> : is_dtype<dtype::float16> {};
#endif
#ifdef __STDCPP_BFLOAT16_T__
template <> struct dtype_of<std::bfloat16_t> : is_dtype<dtype::bfloat16> {};
#endif
// clang-format on

namespace detail {

/* An integer of any type, so that a list of them may mix types. */
struct whole_number {
  template <class Integer, class = std::enable_if_t<std::is_integral_v<Integer>>>
  constexpr whole_number(Integer given) noexcept : value(static_cast<std::int64_t>(given)) {}
  constexpr explicit operator std::int64_t() const noexcept { return value; }
  std::int64_t value;
};

}  // namespace detail

/* Up to MXL_MAX_RANK numbers: a shape, or strides. From a list, {2, 3}, or any range of integers. */
class dimensions {
 public:
  dimensions() = default;
  dimensions(std::initializer_list<detail::whole_number> values) { assign(values.begin(), values.end()); }
  template <class Range, class = std::enable_if_t<
                             std::is_integral_v<std::decay_t<decltype(*std::begin(std::declval<const Range &>()))>>>>
  dimensions(const Range &values) {
    assign(std::begin(values), std::end(values));
  }
  std::int32_t rank() const noexcept { return rank_; }
  const std::int64_t *data() const noexcept { return values_; }
  const std::int64_t *begin() const noexcept { return values_; }
  const std::int64_t *end() const noexcept { return values_ + rank_; }
  std::int64_t operator[](std::int32_t axis) const noexcept { return values_[axis]; }

  /* The product; 0 as well where one is negative, -1 where it does not fit 63 bits. */
  std::int64_t count() const noexcept {
    std::int64_t product = 1;
    for (std::int64_t size : *this) {
      if (size <= 0) return 0;
      if (product > INT64_MAX / size) return -1;
      product *= size;
    }
    return product;
  }

  /* The same with another last one; for a rank from 1. */
  dimensions with_last(std::int64_t size) const noexcept {
    dimensions other = *this;
    if (rank_ > 0) other.values_[rank_ - 1] = size;
    return other;
  }

 private:
  template <class Iterator>
  void assign(Iterator begin, Iterator end) {
    for (; begin != end; ++begin) {
      if (rank_ == MXL_MAX_RANK) throw error(MXL_INVALID_SHAPE, "shape: has more than 16 dimensions");
      values_[rank_++] = static_cast<std::int64_t>(*begin);
    }
  }
  std::int64_t values_[MXL_MAX_RANK] = {};
  std::int32_t rank_ = 0;
};

/* mxl_tensor: a view of elements that somebody else owns; use it as tensor or const_tensor. strides count elements; none for C order.
 * A container is anything with std::data and std::size; its elements must be enough for the shape (MXL_INVALID_SHAPE). */
template <class Void>
class basic_tensor {
  template <class Pointer>
  using element = std::remove_cv_t<std::remove_pointer_t<Pointer>>;

 public:
  basic_tensor(Void *data, dtype type, dimensions shape, dimensions strides = {})
      : data_(data), type_(type), shape_(shape), strides_(strides) {
    if (strides.rank() != 0 && strides.rank() != shape.rank())
      throw error(MXL_INVALID_SHAPE, "strides: there are " + std::to_string(strides.rank()) +
                                         ", expected one for each of " + std::to_string(shape.rank()) + " dimensions");
  }

  template <class Pointer,
            class = std::enable_if_t<std::is_pointer_v<Pointer> && std::is_convertible_v<Pointer, Void *>>,
            dtype Type = dtype_of<element<Pointer>>::value>
  basic_tensor(const Pointer &data, dimensions shape, dimensions strides = {})
      : basic_tensor(data, Type, shape, strides) {}

  template <class Container, class Pointer = decltype(std::data(std::declval<Container &>())),
            class = std::enable_if_t<std::is_convertible_v<Pointer, Void *>>,
            dtype Type = dtype_of<element<Pointer>>::value>
  basic_tensor(Container &&values, dimensions shape) : basic_tensor(std::data(values), Type, shape) {
    const std::int64_t needed = shape.count();
    if (needed < 0 || static_cast<std::uint64_t>(needed) > std::size(values))
      throw error(MXL_INVALID_SHAPE, "shape: is of " + (needed < 0 ? "too many" : std::to_string(needed)) +
                                         " elements, the container has " + std::to_string(std::size(values)));
  }

  /* One dimension, all of a container. */
  template <class Container, class Pointer = decltype(std::data(std::declval<Container &>())),
            class = std::enable_if_t<std::is_convertible_v<Pointer, Void *>>,
            class = decltype(std::size(std::declval<Container &>())), dtype Type = dtype_of<element<Pointer>>::value>
  basic_tensor(Container &&values)
      : basic_tensor(std::data(values), Type, dimensions{static_cast<std::int64_t>(std::size(values))}) {}

  /* A const_tensor of a tensor. */
  template <class Other, class = std::enable_if_t<std::is_same_v<Other, void> && !std::is_same_v<Other, Void>>>
  basic_tensor(const basic_tensor<Other> &other)
      : basic_tensor(other.data(), other.type(), other.shape(), other.strides()) {}

  Void *data() const noexcept { return data_; }
  dtype type() const noexcept { return type_; }
  const dimensions &shape() const noexcept { return shape_; }
  const dimensions &strides() const noexcept { return strides_; }

  /* As the C functions take it; valid while this view is. */
  mxl_tensor c() const noexcept {
    mxl_tensor made{};
    made.data = const_cast<void *>(static_cast<const void *>(data_));
    made.dtype = static_cast<std::int32_t>(type_);
    made.rank = shape_.rank();
    made.shape = shape_.data();
    made.strides = strides_.rank() == 0 ? nullptr : strides_.data();
    return made;
  }

 private:
  Void *data_;
  dtype type_;
  dimensions shape_, strides_;
};

using tensor = basic_tensor<void>;
using const_tensor = basic_tensor<const void>;

/* mxl_entry: a named tensor of a state dict or a checkpoint. With a storage other than MXL_STORAGE_COPY a layer keeps the pointer and a copy of
 * owner until it needs the memory no more; without an owner the memory must outlive the layer. */
struct entry {
  std::string name;
  const_tensor value;
  std::string encoding = {};
  mxl_storage storage = MXL_STORAGE_COPY;
  std::shared_ptr<const void> owner = {};
};

namespace detail {

inline entry entry_of(const mxl_entry &from, std::shared_ptr<const void> owner) {
  const mxl_tensor &view = from.tensor;
  const auto sizes = [&](const std::int64_t *values) {
    dimensions made;
    if (values != nullptr) made = dimensions(std::vector<std::int64_t>(values, values + view.rank));
    return made;
  };
  return {from.name, const_tensor(view.data, static_cast<dtype>(view.dtype), sizes(view.shape), sizes(view.strides)),
          from.encoding == nullptr ? "" : from.encoding, static_cast<mxl_storage>(from.storage), std::move(owner)};
}

}  // namespace detail

/* mxl_weights: an open checkpoint. Entries taken from it, and layers filled from those, keep it open. */
class weights {
 public:
  explicit weights(const std::string &path) : weights(std::vector<std::string>{path}) {}
  /* {"a-1.safetensors", "a-2.safetensors"}, which a string could be made of too, of two pointers. */
  explicit weights(std::initializer_list<std::string> paths) : weights(std::vector<std::string>(paths)) {}
  explicit weights(const std::vector<std::string> &paths) {
    std::vector<const char *> names;
    for (const std::string &path : paths) names.push_back(path.c_str());
    mxl_weights *opened = nullptr;
    detail::call(mxl_weights_open, names.data(), names.size(), &opened);
    handle_.reset(opened, mxl_weights_destroy);
  }

  std::size_t size() const {
    std::size_t count = 0;
    detail::call(mxl_weights_count, c(), &count);
    return count;
  }
  entry operator[](std::size_t index) const {
    mxl_entry found{};
    detail::call(mxl_weights_entry, c(), index, &found);
    return detail::entry_of(found, handle_);
  }
  entry operator[](const std::string &name) const {
    mxl_entry found{};
    detail::call(mxl_weights_find, c(), name.c_str(), &found);
    return detail::entry_of(found, handle_);
  }
  bool contains(const std::string &name) const noexcept {
    mxl_entry found{};
    return mxl_weights_find(c(), name.c_str(), &found, nullptr) == MXL_OK;
  }
  const mxl_weights *c() const noexcept { return handle_.get(); }

 private:
  std::shared_ptr<mxl_weights> handle_;
};

/* mxl_communicator: processes that share layers. Copies are the same one. */
class communicator {
 public:
  explicit communicator(const std::string &kind, const void *native = nullptr) {
    mxl_communicator *made = nullptr;
    detail::call(mxl_communicator_create, kind.c_str(), native, &made);
    handle_.reset(made, mxl_communicator_destroy);
  }

  std::int32_t rank() const {
    std::int32_t found = 0;
    detail::call(mxl_communicator_rank, c(), &found, nullptr);
    return found;
  }
  std::int32_t size() const {
    std::int32_t found = 0;
    detail::call(mxl_communicator_rank, c(), nullptr, &found);
    return found;
  }
  /* This process cannot go on: the others' next calls fail with this message. */
  void abort(const std::string &message) { detail::call(mxl_communicator_abort, handle_.get(), message.c_str()); }
  const mxl_communicator *c() const noexcept { return handle_.get(); }

 private:
  std::shared_ptr<mxl_communicator> handle_;
};

/* mxl_quantization: how GPTQ and AWQ weights are quantized. */
struct quantization {
  std::int32_t bits = 4;
  std::int32_t group_size = 128;
  bool desc_act = false;
  bool sym = false;
  std::string checkpoint_format = {};
  std::string quant_method = {}; /* "gptq" or "awq"; empty means gptq */

  /* As the C functions take it; valid while this is. */
  mxl_quantization c() const {
    auto made = detail::sized<mxl_quantization>();
    made.bits = bits;
    made.group_size = group_size;
    made.desc_act = desc_act;
    made.sym = sym;
    made.checkpoint_format = detail::text_or_null(checkpoint_format);
    made.quant_method = detail::text_or_null(quant_method);
    return made;
  }
};

struct prepare_options {
  mxl_compute compute = MXL_COMPUTE_DEFAULT;
  mxl_pack pack = MXL_PACK_DEFAULT;
  std::int32_t threads = 0;

  mxl_prepare_options c() const {
    auto made = detail::sized<mxl_prepare_options>();
    made.compute = compute;
    made.pack = pack;
    made.threads = threads;
    return made;
  }
};

struct run_options {
  std::int32_t threads = 0;
  bool accumulate = false;

  mxl_run_options c() const {
    auto made = detail::sized<mxl_run_options>();
    made.threads = threads;
    made.accumulate = accumulate;
    return made;
  }
};

/* CPU devices 0 to count - 1. */
inline std::vector<mxl_device> cpu_devices(std::int32_t count) {
  std::vector<mxl_device> made;
  for (std::int32_t id = 0; id < count; id++) made.push_back({MXL_DEVICE_CPU, id});
  return made;
}

}  // namespace maxlinear

#include "maxlinear/encodings.hpp"
#include "maxlinear/layers.hpp"

#endif
