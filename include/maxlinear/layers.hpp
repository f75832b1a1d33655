/* The layers and functions of maxlinear.hpp, which includes this; see there. */
#ifndef MAXLINEAR_LAYERS_HPP
#define MAXLINEAR_LAYERS_HPP

#include "../maxlinear.hpp"

#include <algorithm>

namespace maxlinear {

/* mxl_layer: filled with load, prepared, called with forward by any number of threads at once. Copies are one layer. */
class layer {
 public:
  /* Takes over one ownership of a handle. */
  explicit layer(mxl_layer *handle) noexcept : handle_(handle) {}
  layer(const layer &other) noexcept : handle_(other.handle_) { mxl_layer_retain(handle_); }
  layer(layer &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  layer &operator=(layer other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~layer() { mxl_layer_destroy(handle_); }

  /* mxl_layer_load; flags are MXL_LOAD_*. */
  void load(const std::vector<entry> &state, std::uint32_t flags = MXL_LOAD_STRICT) {
    using owner = std::shared_ptr<const void>;
    std::vector<std::unique_ptr<owner>> owners;
    std::vector<mxl_entry> entries;
    owners.reserve(state.size());
    for (const entry &from : state) {
      mxl_entry made{};
      made.name = from.name.c_str();
      made.encoding = detail::text_or_null(from.encoding);
      made.tensor = from.value.c();
      made.storage = from.storage;
      if (from.storage != MXL_STORAGE_COPY && from.owner) {
        owners.push_back(std::make_unique<owner>(from.owner));
        made.owner = owners.back().get();
        made.release = [](void *kept) { delete static_cast<owner *>(kept); };
      }
      entries.push_back(made);
    }
    detail::call(mxl_layer_load, handle_, entries.data(), entries.size(), flags);
    for (auto &kept : owners) static_cast<void>(kept.release());
  }

  /* mxl_layer_load_weights: the tensors named prefix + key. */
  void load(const weights &from, const std::string &prefix, std::uint32_t flags = 0) {
    detail::call(mxl_layer_load_weights, handle_, from.c(), prefix.c_str(), flags);
  }

  /* The state dict, for reading, and to be loaded elsewhere; the entries keep what they show. Before a load all are there and data() is null, afterwards
   * those that were loaded: a layer may do without some. */
  std::vector<entry> state() const {
    std::size_t count = 0;
    detail::call(mxl_layer_entry_count, handle_, &count);
    std::vector<entry> made;
    bool any_loaded = false;
    for (std::size_t index = 0; index < count; index++) {
      mxl_entry found{};
      detail::call(mxl_layer_entry, handle_, index, &found);
      std::shared_ptr<const void> owner;
      if (found.release != nullptr) owner = std::shared_ptr<void>(found.owner, found.release);
      any_loaded = any_loaded || found.tensor.data != nullptr;
      made.push_back(detail::entry_of(found, std::move(owner)));
    }
    const auto is_absent = [any_loaded](const entry &one) { return any_loaded && one.value.data() == nullptr; };
    made.erase(std::remove_if(made.begin(), made.end(), is_absent), made.end());
    return made;
  }

  void prepare(const prepare_options &how = {}) {
    const mxl_prepare_options options = how.c();
    detail::call(mxl_layer_prepare, handle_, &options);
  }

  /* y = layer(x); x (..., in_dim), y (..., out_dim). */
  void forward(const const_tensor &x, const tensor &y, const run_options &how = {}) const {
    const mxl_run_options options = how.c();
    const mxl_tensor in = x.c();
    mxl_tensor out = y.c();
    detail::call(mxl_layer_forward, handle_, &options, &in, &out);
  }

  std::string kernel() const {
    const char *name = nullptr;
    detail::call(mxl_layer_kernel, handle_, &name);
    return name;
  }

  mxl_memory memory() const {
    auto held = detail::sized<mxl_memory>();
    detail::call(mxl_layer_memory, handle_, &held);
    return held;
  }

  mxl_layer *c() const noexcept { return handle_; }

 protected:
  /* The layer that a function of the C header makes. */
  template <class Function, class... Arguments>
  static mxl_layer *make(Function create, Arguments... arguments) {
    mxl_layer *made = nullptr;
    detail::call(create, arguments..., &made);
    return made;
  }

 private:
  mxl_layer *handle_;
};

/* mxl_linear_options; text that is empty is none. */
struct linear_options {
  dtype type = dtype::float32;
  bool has_bias = false;
  std::string encoding = {};
  std::string name = {};
  std::optional<float> clip_weight = {};
  std::optional<quantization> gptq = {};
  mxl_device device = {};
};

namespace detail {

/* The C options of a linear layer, with what they point to. */
struct linear_settings {
  linear_settings(std::int64_t in_dim, std::int64_t out_dim, const linear_options &from) {
    options.in_dim = in_dim;
    options.out_dim = out_dim;
    options.dtype = static_cast<std::int32_t>(from.type);
    options.has_bias = from.has_bias;
    options.device = from.device;
    options.encoding = text_or_null(from.encoding);
    options.name = text_or_null(from.name);
    options.clip_weight = from.clip_weight ? &*from.clip_weight : nullptr;
    if (from.gptq) {
      gptq = from.gptq->c();
      options.quantization = &gptq;
      if (from.encoding.empty()) options.encoding = "GPTQ";
    }
  }
  linear_settings(const linear_settings &) = delete;
  const mxl_linear_options *c() const noexcept { return &options; }

  mxl_linear_options options = sized<mxl_linear_options>();
  mxl_quantization gptq = {};
};

}  // namespace detail

/* LinearV2; with options.gptq, GPTQLinearV2. Filled with load. */
class linear : public layer {
 public:
  linear(std::int64_t in_dim, std::int64_t out_dim, const linear_options &options = {})
      : layer(make(mxl_linear_create, detail::linear_settings(in_dim, out_dim, options).c())) {}
};

/* mxl_can_run: the name of the kernel that such a linear, prepared so, would run. Throws what making or preparing it would. */
inline std::string can_run(std::int64_t in_dim, std::int64_t out_dim, const linear_options &options = {},
                           const prepare_options &how = {}) {
  const mxl_prepare_options prepare = how.c();
  const char *name = nullptr;
  detail::call(mxl_can_run, detail::linear_settings(in_dim, out_dim, options).c(), &prepare, &name);
  return name;
}

/* GPTQLinearV2: keys qweight, scales, qzeros, g_idx or perm_idx, bias. */
class gptq_linear : public linear {
 public:
  gptq_linear(std::int64_t in_dim, std::int64_t out_dim, const quantization &how, linear_options options = {})
      : linear(in_dim, out_dim, with(how, std::move(options))) {}

 private:
  static linear_options with(const quantization &how, linear_options options) {
    options.gptq = how;
    return options;
  }
};

/* Linear: of a weight (out_dim, in_dim), a bias (out_dim) and a float8 weight's scale at hand, copied; loaded when made. */
class linear_v1 : public layer {
 public:
  explicit linear_v1(const const_tensor &weight, const std::optional<const_tensor> &bias = {},
                     const std::optional<const_tensor> &weight_scale = {})
      : layer(of(weight, nullptr, bias, weight_scale)) {}

 protected:
  linear_v1(const char *encoding, const const_tensor &weight, const std::optional<const_tensor> &bias)
      : layer(of(weight, encoding, bias, {})) {}

 private:
  static mxl_layer *of(const const_tensor &weight, const char *encoding, const std::optional<const_tensor> &bias,
                       const std::optional<const_tensor> &weight_scale) {
    mxl_entry stored{}, added{}, scale{};
    stored.name = "weight";
    stored.encoding = encoding;
    stored.tensor = weight.c();
    added.name = "bias";
    if (bias) added.tensor = bias->c();
    scale.name = "weight_scale";
    if (weight_scale) scale.tensor = weight_scale->c();
    auto options = detail::sized<mxl_linear_v1_options>();
    options.weight = &stored;
    options.bias = bias ? &added : nullptr;
    options.weight_scale = weight_scale ? &scale : nullptr;
    return make(mxl_linear_v1_create, &options);
  }
};

/* QLinear: of encoded blocks (out_dim, row bytes) at hand. */
class qlinear : public linear_v1 {
 public:
  qlinear(const const_tensor &blocks, const std::string &encoding, const std::optional<const_tensor> &bias = {})
      : linear_v1(encoding.c_str(), blocks, bias) {}
};

/* mxl_mlp_options. gptq of an MLP from weights: none for what the checkpoint's folder says. */
struct mlp_options {
  dtype type = dtype::float32;
  bool has_bias = false;
  std::string encoding = {};
  mxl_activation activation = MXL_ACTIVATION_SILU;
  std::optional<quantization> gptq = {};
  std::vector<mxl_device> devices = {};
  bool reduce = false;
  std::optional<communicator> ranks = {}; /* of a distributed_mlp: the processes that are the devices */
};

namespace detail {

/* The C options of an MLP of dimensions or of a checkpoint, with what they point to. */
struct mlp_settings {
  explicit mlp_settings(const mlp_options &from, std::int64_t hidden_dim = 0, std::int64_t feed_forward_length = 0)
      : gptq(from.gptq ? from.gptq->c() : mxl_quantization{}) {
    options.hidden_dim = hidden_dim;
    options.feed_forward_length = feed_forward_length;
    options.dtype = static_cast<std::int32_t>(from.type);
    options.has_bias = from.has_bias;
    options.encoding = from.encoding.empty() && from.gptq ? "GPTQ" : text_or_null(from.encoding);
    options.activation = stored.activation = from.activation;
    options.devices = stored.devices = from.devices.data();
    options.device_count = stored.device_count = from.devices.size();
    options.quantization = stored.quantization = from.gptq ? &gptq : nullptr;
    options.reduce = stored.reduce = from.reduce;
    options.communicator = stored.communicator = from.ranks ? from.ranks->c() : nullptr;
  }
  mlp_settings(const mlp_settings &) = delete;
  const mxl_mlp_options *c() const noexcept { return &options; }
  const mxl_mlp_weights_options *of_weights(bool distributed) noexcept {
    stored.distributed = distributed;
    return &stored;
  }

  mxl_quantization gptq;
  mxl_mlp_options options = sized<mxl_mlp_options>();
  mxl_mlp_weights_options stored = sized<mxl_mlp_weights_options>();
};

}  // namespace detail

/* MLPV2: y = down(activation(gate x) * (up x)). */
class mlp : public layer {
 public:
  mlp(std::int64_t hidden_dim, std::int64_t feed_forward_length, const mlp_options &options = {})
      : layer(make(mxl_mlp_create, detail::mlp_settings(options, hidden_dim, feed_forward_length).c())) {}

  /* MLP: of three linear layers at hand, whose weights it shares. */
  mlp(const layer &gate, const layer &down, const layer &up, mxl_activation activation = MXL_ACTIVATION_SILU)
      : layer(make(mxl_mlp_create_from, gate.c(), down.c(), up.c(), static_cast<std::int32_t>(activation))) {}

  /* The MLP of a checkpoint's layer of that number, mapped. */
  mlp(const weights &from, std::int64_t number, const mlp_options &options = {})
      : layer(make(mxl_mlp_create_from_weights, from.c(), number, detail::mlp_settings(options).of_weights(false))) {}
};

/* What layers on several devices have: one x and one y a device; or on the ranks of a communicator, each with the whole x and y. */
class distributed_layer : public layer {
 public:
  using layer::forward;
  using layer::layer;

  /* A list is one x a device, {x} that of one device. */
  void forward(std::initializer_list<const_tensor> xs, std::initializer_list<tensor> ys,
               const run_options &how = {}) const {
    forward(std::vector<const_tensor>(xs), std::vector<tensor>(ys), how);
  }
  void forward(const std::vector<const_tensor> &xs, const std::vector<tensor> &ys, const run_options &how = {}) const {
    if (xs.size() != ys.size())
      throw error(MXL_INVALID_ARGUMENT, "ys: there are " + std::to_string(ys.size()) + ", expected one for each of " +
                                            std::to_string(xs.size()) + " xs");
    const mxl_run_options options = how.c();
    std::vector<mxl_tensor> in, out;
    for (const const_tensor &x : xs) in.push_back(x.c());
    for (const tensor &y : ys) out.push_back(y.c());
    detail::call(mxl_layer_forward_devices, c(), &options, in.data(), out.data(), in.size());
  }

  /* mxl_layer_shard: [first, second) of each device, once the layer is prepared. */
  std::vector<std::pair<std::int64_t, std::int64_t>> shards() const {
    std::size_t count = 0;
    detail::call(mxl_layer_shard, c(), std::size_t{0}, &count, nullptr, nullptr);
    std::vector<std::pair<std::int64_t, std::int64_t>> made(count);
    for (std::size_t index = 0; index < count; index++)
      detail::call(mxl_layer_shard, c(), index, nullptr, &made[index].first, &made[index].second);
    return made;
  }
};

/* DistributedMLP, on options.devices. */
class distributed_mlp : public distributed_layer {
 public:
  distributed_mlp(std::int64_t hidden_dim, std::int64_t feed_forward_length, const mlp_options &options)
      : distributed_layer(
            make(mxl_distributed_mlp_create, detail::mlp_settings(options, hidden_dim, feed_forward_length).c())) {}
  distributed_mlp(const weights &from, std::int64_t number, const mlp_options &options)
      : distributed_layer(
            make(mxl_mlp_create_from_weights, from.c(), number, detail::mlp_settings(options).of_weights(true))) {}
};

namespace detail {

/* The C options of a parallel layer, with what they point to. */
struct parallel_settings {
  parallel_settings(std::int64_t in_dim, std::int64_t out_dim, const std::vector<mxl_device> &devices, bool gather,
                    const linear_options &from)
      : undivided(in_dim, out_dim, from) {
    options.linear = undivided.c();
    options.devices = devices.data();
    options.device_count = devices.size();
    options.gather = gather;
  }
  parallel_settings(std::int64_t in_dim, std::int64_t out_dim, const communicator &ranks, bool gather,
                    const linear_options &from)
      : parallel_settings(in_dim, out_dim, std::vector<mxl_device>(), gather, from) {
    options.communicator = ranks.c();
  }
  const mxl_parallel_options *c() const noexcept { return &options; }

  linear_settings undivided;
  mxl_parallel_options options = sized<mxl_parallel_options>();
};

}  // namespace detail

/* ColumnParallelLinear: split by outputs; gather gives each device the whole y. */
class column_parallel_linear : public distributed_layer {
 public:
  column_parallel_linear(std::int64_t in_dim, std::int64_t out_dim, const std::vector<mxl_device> &devices,
                         bool gather = true, const linear_options &options = {})
      : distributed_layer(make(mxl_column_parallel_create,
                               detail::parallel_settings(in_dim, out_dim, devices, gather, options).c())) {}
  column_parallel_linear(std::int64_t in_dim, std::int64_t out_dim, const communicator &ranks, bool gather = true,
                         const linear_options &options = {})
      : distributed_layer(
            make(mxl_column_parallel_create, detail::parallel_settings(in_dim, out_dim, ranks, gather, options).c())) {}
};

/* RowParallelLinear: split by inputs. */
class row_parallel_linear : public distributed_layer {
 public:
  row_parallel_linear(std::int64_t in_dim, std::int64_t out_dim, const std::vector<mxl_device> &devices,
                      const linear_options &options = {})
      : distributed_layer(
            make(mxl_row_parallel_create, detail::parallel_settings(in_dim, out_dim, devices, false, options).c())) {}
  row_parallel_linear(std::int64_t in_dim, std::int64_t out_dim, const communicator &ranks,
                      const linear_options &options = {})
      : distributed_layer(
            make(mxl_row_parallel_create, detail::parallel_settings(in_dim, out_dim, ranks, false, options).c())) {}
};

/* mxl_gate: hidden = activation(gate) * up. */
inline void gate(mxl_activation activation, const const_tensor &gate, const const_tensor &up, const tensor &hidden) {
  const mxl_tensor left = gate.c(), right = up.c();
  mxl_tensor out = hidden.c();
  detail::call(mxl_gate, static_cast<std::int32_t>(activation), &left, &right, &out);
}

/* ys[i] = layers[i](x): mxl_layers_forward. */
inline void forward_together(const std::vector<const layer *> &layers, const const_tensor &x,
                             const std::vector<tensor> &ys, const run_options &how = {}) {
  if (layers.size() != ys.size())
    throw error(MXL_INVALID_ARGUMENT, "ys: there are " + std::to_string(ys.size()) + ", expected one for each of the " +
                                          std::to_string(layers.size()) + " layers");
  std::vector<const mxl_layer *> handles;
  std::vector<mxl_tensor> out;
  for (const layer *one : layers) handles.push_back(one == nullptr ? nullptr : one->c());
  for (const tensor &y : ys) out.push_back(y.c());
  const mxl_run_options options = how.c();
  const mxl_tensor in = x.c();
  detail::call(mxl_layers_forward, handles.data(), handles.size(), &options, &in, out.data());
}

/* mxl_plugin_load: loads a plugin for good, if it has not been loaded. */
inline void load_plugin(const std::string &path) { detail::call(mxl_plugin_load, path.c_str()); }

inline std::int32_t threads() noexcept { return mxl_threads(); }
inline void set_threads(std::int32_t threads) { detail::call(mxl_set_threads, threads); }

/* mxl_info: the machine and its kernels, as JSON. */
inline std::string info() {
  std::size_t length = 0;
  detail::call(mxl_info, nullptr, std::size_t{0}, &length);
  for (;;) {
    std::string text(length + 1, '\0');
    try {
      detail::call(mxl_info, text.data(), text.size(), &length);
    } catch (const error &) {
      if (length >= text.size()) continue; /* a plugin has written to its log meanwhile */
      throw;
    }
    text.resize(length);
    return text;
  }
}

/* The version of the library that is running, such as "0.1.0". */
inline std::string version() {
  const std::uint32_t packed = mxl_version();
  return std::to_string(packed >> 16) + '.' + std::to_string(packed >> 8 & 255) + '.' + std::to_string(packed & 255);
}

}  // namespace maxlinear

#endif
