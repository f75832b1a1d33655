// Layers through the C functions: options, state dicts and calls decoded from the input, in any order.
#include "input.hpp"

#include <deque>
#include <memory>
#include <set>

#include <sys/mman.h>

namespace {

const char *const KEYS[] = {"weight",
                            "bias",
                            "weight_scale",
                            "qweight",
                            "scales",
                            "qzeros",
                            "g_idx",
                            "perm_idx",
                            "gate_proj.weight",
                            "down_proj.weight",
                            "up_proj.weight",
                            "gate_proj.bias",
                            "down_proj.bias",
                            "up_proj.bias",
                            "lin.weight",
                            "lin.bias",
                            "gate_proj.qweight",
                            "gate_proj.scales",
                            "down_proj.qweight",
                            "down_proj.scales",
                            "up_proj.qweight",
                            "up_proj.scales"};
const char *const ENCODINGS[] = {"Q4_0", "Q4_1",   "Q5_0",   "Q5_1",  "Q8_0", "Q2_K",    "Q3_K", "Q4_K", "Q5_K",
                                 "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4", "GPTQ", "GPTQ_32", "F32",  "Q8_K"};
const int32_t DTYPES[] = {MXL_FLOAT32,     MXL_FLOAT16,     MXL_BFLOAT16, MXL_UINT8,
                          MXL_FLOAT8_E4M3, MXL_FLOAT8_E5M2, MXL_INT32};

// Memory lent to the library: how often it has come back.
struct lent {
  std::vector<uint8_t> bytes;
  void *mapping = nullptr;
  size_t mapped = 0;
  int released = 0;
  bool is_owned = false;  // by the library, after a call that succeeded
  ~lent() {
    if (mapping != nullptr) munmap(mapping, mapped);
  }
};

class session {
 public:
  explicit session(fuzz::input &input) : in_(input) {}

  ~session() {
    for (mxl_layer *layer : layers_) mxl_layer_destroy(layer);
    for (const auto &memory : lent_) EXPECT(memory->released == (memory->is_owned ? 1 : 0));
  }

  void run() {
    for (int step = 0; step < 24 && in_.left() > 0; step++) {
      switch (in_.number<uint8_t>() % 16) {
        case 0: keep([&](mxl_layer **to, mxl_error *error) { return mxl_linear_create(linear(), to, error); }); break;
        case 1: linear_v1(); break;
        case 2: keep([&](mxl_layer **to, mxl_error *error) { return mxl_mlp_create(mlp(), to, error); }); break;
        case 3:
          keep([&](mxl_layer **to, mxl_error *error) { return mxl_distributed_mlp_create(mlp(), to, error); });
          break;
        case 4:
          keep([&](mxl_layer **to, mxl_error *error) { return mxl_column_parallel_create(parallel(), to, error); });
          break;
        case 5:
          keep([&](mxl_layer **to, mxl_error *error) { return mxl_row_parallel_create(parallel(), to, error); });
          break;
        case 6:
          keep([&](mxl_layer **to, mxl_error *error) {
            const mxl_layer *gate = layer(), *down = layer(), *up = layer();
            return mxl_mlp_create_from(gate, down, up, in_.enumerator(5), to, error);
          });
          break;
        case 7:
        case 8: load(); break;
        case 9: fill(); break;
        case 10: prepare(); break;
        case 11: entries(); break;
        case 12: forward(); break;
        case 13: together(); break;
        case 14: ask(); break;
        case 15: quantize(); break;
      }
    }
  }

 private:
  const char *text(const char *const *known, size_t count) {
    uint8_t kind = in_.number<uint8_t>();
    if (kind < 240) return known[kind % count];
    if (kind < 245) return nullptr;
    return texts_.emplace_back(in_.text(24)).c_str();
  }
  const char *encoding() { return in_.flag() ? nullptr : text(ENCODINGS, sizeof ENCODINGS / sizeof *ENCODINGS); }
  int32_t dtype() { return in_.number<uint8_t>() < 250 ? in_.one_of(DTYPES) : in_.number<int32_t>(); }
  // Dimensions that weights often have, so that shapes meet.
  int64_t dimension() {
    static const int64_t common[] = {1, 8, 32, 64, 256};
    return in_.number<uint8_t>() < 200 ? in_.one_of(common) : in_.size(300);
  }
  mxl_device device() {
    return in_.number<uint8_t>() < 240 ? mxl_device{} : mxl_device{in_.enumerator(3), in_.enumerator(2)};
  }

  const mxl_quantization *quantization() {
    static const int32_t bits[] = {2, 3, 4, 8};
    static const char *const methods[] = {"gptq", "awq"}, *const formats[] = {"gptq", "gptq_v2", "gemm"};
    if (in_.flag()) return nullptr;
    mxl_quantization &made = quantizations_.emplace_back();
    made.struct_size = in_.struct_size(sizeof made);
    made.bits = in_.number<uint8_t>() < 240 ? in_.one_of(bits) : in_.number<int32_t>();
    made.group_size = in_.flag() ? 32 : static_cast<int32_t>(in_.size(70));
    made.desc_act = in_.enumerator(1);
    made.sym = in_.enumerator(1);
    made.quant_method = in_.flag() ? nullptr : text(methods, 2);
    made.checkpoint_format = in_.flag() ? nullptr : text(formats, 3);
    return &made;
  }

  const mxl_linear_options *linear() {
    static const char *const names[] = {"lin"};
    mxl_linear_options &made = linears_.emplace_back();
    made.struct_size = in_.struct_size(sizeof made);
    made.dtype = dtype();
    made.in_dim = dimension();
    made.out_dim = dimension();
    made.has_bias = in_.enumerator(1);
    made.device = device();
    made.encoding = encoding();
    if (in_.number<uint8_t>() > 230) made.name = text(names, 1);
    if (in_.number<uint8_t>() > 230) made.clip_weight = &floats_.emplace_back(in_.number<float>());
    made.quantization = quantization();
    return &made;
  }

  const mxl_device *devices(size_t *count) {
    *count = in_.number<uint8_t>() < 250 ? in_.below(5) : static_cast<size_t>(in_.size(70));
    auto &made = devices_.emplace_back(std::min<size_t>(*count, 2000));
    for (size_t i = 0; i < made.size(); i++) made[i] = {MXL_DEVICE_CPU, static_cast<int32_t>(i)};
    if (!made.empty() && in_.number<uint8_t>() > 240) made.back() = device();
    return made.empty() || in_.number<uint8_t>() > 250 ? nullptr : made.data();
  }

  const mxl_mlp_options *mlp() {
    mxl_mlp_options &made = mlps_.emplace_back();
    made.struct_size = in_.struct_size(sizeof made);
    made.dtype = dtype();
    made.hidden_dim = dimension();
    made.feed_forward_length = dimension();
    made.has_bias = in_.enumerator(1);
    made.activation = in_.enumerator(5);
    made.encoding = encoding();
    made.devices = devices(&made.device_count);
    made.quantization = quantization();
    made.reduce = in_.enumerator(1);
    return &made;
  }

  const mxl_parallel_options *parallel() {
    mxl_parallel_options &made = parallels_.emplace_back();
    made.struct_size = in_.struct_size(sizeof made);
    made.gather = in_.enumerator(1);
    made.linear = linear();
    made.devices = devices(&made.device_count);
    return &made;
  }

  // The entry's memory, as large as its shape and strides say; NULL where that is more than a test may have.
  void back_with_memory(mxl_entry &entry) {
    __int128 low = 0, high = 1, step = 1;
    for (int32_t axis = entry.tensor.rank; axis-- > 0;) {
      __int128 dimension = entry.tensor.shape[axis];
      __int128 reach = (dimension - 1) * (entry.tensor.strides == nullptr ? step : entry.tensor.strides[axis]);
      (reach < 0 ? low : high) += reach;
      if (dimension <= 0 || dimension > 1 << 20 || high - low > 1 << 18) return;
      step *= dimension;
      if (step > 1 << 18) return;
    }
    int32_t bits = std::max(mxl_dtype_bits(entry.tensor.dtype), 8);
    auto bytes = static_cast<size_t>((high - low) * bits / 8);
    auto memory = std::make_unique<lent>();
    memory->bytes = in_.repeated(bytes);
    uint8_t *at = memory->bytes.data();
    if (entry.storage == MXL_STORAGE_MAP) {
      memory->mapped = bytes;
      memory->mapping = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      EXPECT(memory->mapping != MAP_FAILED);
      at = static_cast<uint8_t *>(std::memcpy(memory->mapping, at, bytes));
    }
    entry.tensor.data = at - static_cast<int64_t>(low * bits / 8);
    if (in_.flag()) {
      entry.owner = memory.get();
      entry.release = [](void *owner) { static_cast<lent *>(owner)->released++; };
    }
    lent_.push_back(std::move(memory));
  }

  mxl_entry describe(const char *name, const char *encoding, int32_t dtype, std::vector<int64_t> shape) {
    mxl_entry made = {};
    made.name = name;
    made.encoding = encoding;
    made.storage = in_.enumerator(2);
    made.tensor.dtype = dtype;
    made.tensor.rank = static_cast<int32_t>(shape.size());
    made.tensor.shape = shapes_.emplace_back(std::move(shape)).data();
    return made;
  }

  mxl_entry entry() {
    const char *name = text(KEYS, sizeof KEYS / sizeof *KEYS), *stored = encoding();
    int32_t type = dtype();
    std::vector<int64_t> shape(in_.number<uint8_t>() < 240 ? 1 + in_.below(2) : in_.below(MXL_MAX_RANK + 1));
    for (int64_t &one : shape) one = dimension();
    size_t rank = shape.size();
    mxl_entry made = describe(name, stored, type, std::move(shape));
    if (in_.number<uint8_t>() > 230) {
      std::vector<int64_t> strides(rank);
      for (int64_t &stride : strides) stride = in_.size(80);
      made.tensor.strides = shapes_.emplace_back(std::move(strides)).data();
    }
    if (in_.number<uint8_t>() > 250) made.tensor.rank = in_.number<uint8_t>() > 128 ? 17 : -1;
    if (in_.number<uint8_t>() > 250) made.tensor.device = device();
    if (made.tensor.rank >= 0 && made.tensor.rank <= MXL_MAX_RANK) back_with_memory(made);
    return made;
  }

  // What the call has taken is given back later, once; what it has refused stays here.
  void took(mxl_status status, const std::vector<mxl_entry> &entries) {
    for (const mxl_entry &one : entries)
      if (one.release != nullptr) static_cast<lent *>(one.owner)->is_owned = status == MXL_OK;
  }

  template <class Make>
  mxl_status keep(Make make) {
    mxl_layer *const untouched = reinterpret_cast<mxl_layer *>(8);
    mxl_layer *made = untouched;
    mxl_status status = CHECKED(make, &made);
    EXPECT((made == untouched) == (status != MXL_OK));
    if (status == MXL_OK) layers_.push_back(made);
    return status;
  }

  void linear_v1() {
    std::vector<mxl_entry> entries;
    for (int i = 0; i < 4; i++) entries.push_back(i == 0 || in_.number<uint8_t>() > 200 ? entry() : mxl_entry{});
    mxl_linear_v1_options options = {};
    options.struct_size = in_.struct_size(sizeof options);
    options.dtype = in_.flag() ? 0 : dtype();
    options.weight = &entries[0];
    if (entries[1].name != nullptr) options.bias = &entries[1];
    options.in_features = in_.flag() ? 0 : dimension();
    options.out_features = in_.flag() ? 0 : dimension();
    options.encoding = encoding();
    options.quantization = quantization();
    if (entries[2].name != nullptr) options.perm_idx = &entries[2];
    if (entries[3].name != nullptr) options.weight_scale = &entries[3];
    mxl_status status =
        keep([&](mxl_layer **to, mxl_error *error) { return mxl_linear_v1_create(&options, to, error); });
    // weight_scale is read where struct_size reaches it.
    std::vector<mxl_entry> read = {entries[0]};
    if (options.bias != nullptr) read.push_back(entries[1]);
    if (options.perm_idx != nullptr) read.push_back(entries[2]);
    if (options.struct_size >= sizeof options && options.weight_scale != nullptr) read.push_back(entries[3]);
    took(status, read);
  }

  mxl_layer *layer() { return layers_.empty() ? nullptr : layers_[in_.below(layers_.size())]; }

  void load() {
    std::vector<mxl_entry> entries(1 + in_.below(4));
    for (mxl_entry &one : entries) one = entry();
    load(layer(), entries, in_.number<uint8_t>() < 250 ? in_.number<uint8_t>() % 8u : in_.number<uint32_t>());
  }

  void load(mxl_layer *to, const std::vector<mxl_entry> &entries, uint32_t flags) {
    took(CHECKED(mxl_layer_load, to, entries.data(), entries.size(), flags), entries);
  }

  // The entry as blocks of another encoding, where its rows are whole blocks of it.
  void encode(mxl_entry &entry) {
    const char *name = text(ENCODINGS, sizeof ENCODINGS / sizeof *ENCODINGS);
    int64_t elements = 0, bytes = 0;
    if (entry.tensor.rank < 1 || mxl_encoding_block(name, &elements, &bytes, nullptr) != MXL_OK) return;
    std::vector<int64_t> &shape = shapes_.emplace_back(entry.tensor.shape, entry.tensor.shape + entry.tensor.rank);
    if (shape.back() % elements == 0) shape.back() = shape.back() / elements * bytes;
    entry.tensor.shape = shape.data();
    entry.tensor.dtype = MXL_UINT8;
    entry.encoding = name;
  }

  // Rows with gaps, backwards or one in the place of all; any stride where there is one row.
  void stretch(mxl_entry &entry) {
    const int32_t rank = entry.tensor.rank;
    if (rank < 1) return;
    std::vector<int64_t> &strides = shapes_.emplace_back(static_cast<size_t>(rank), 1);
    int64_t row = rank == 1 ? 1 : entry.tensor.shape[rank - 1];
    const int64_t steps[] = {row + 3, -row, 0, INT64_MAX, INT64_C(1) << 62};
    strides[0] = in_.one_of(steps);
    entry.tensor.strides = strides.data();
  }

  // Entries of just what the layer has, from the input's bytes: so that most layers can be called. Some are described otherwise.
  void fill() {
    mxl_layer *to = layer();
    if (to == nullptr) return;
    size_t count = 0;
    EXPECT(CHECKED(mxl_layer_entry_count, to, &count) == MXL_OK);
    std::vector<mxl_entry> entries;
    for (size_t i = 0; i < count; i++) {
      mxl_entry own = {};
      if (CHECKED(mxl_layer_entry, to, i, &own) != MXL_OK) continue;
      std::vector<int64_t> shape(own.tensor.shape, own.tensor.shape + own.tensor.rank);
      const char *stored = own.encoding == nullptr ? nullptr : texts_.emplace_back(own.encoding).c_str();
      mxl_entry made = describe(texts_.emplace_back(own.name).c_str(), stored, own.tensor.dtype, std::move(shape));
      if (own.release != nullptr) own.release(own.owner);
      uint8_t kind = in_.number<uint8_t>();
      if (kind > 250) {
        made.tensor.dtype = dtype();
      } else if (kind > 240) {
        encode(made);
      } else if (kind > 230) {
        stretch(made);
      }
      back_with_memory(made);
      entries.push_back(made);
    }
    uint8_t flags = in_.number<uint8_t>();
    load(to, entries, (flags & 1 ? 0u : MXL_LOAD_REPLACE) | (flags & 6 ? 0u : MXL_LOAD_OVERRIDE_ENCODING));
  }

  void prepare() {
    mxl_prepare_options options = {in_.struct_size(sizeof options), in_.enumerator(3), in_.enumerator(2),
                                   in_.enumerator(2)};
    static_cast<void>(CHECKED(mxl_layer_prepare, layer(), in_.flag() ? nullptr : &options));
  }

  void entries() {
    mxl_layer *from = layer();
    size_t count = 0;
    if (CHECKED(mxl_layer_entry_count, from, &count) != MXL_OK) return;
    for (size_t i = 0; i <= count; i++) {
      mxl_entry own = {};
      if (CHECKED(mxl_layer_entry, from, i, &own) != MXL_OK) continue;
      EXPECT(i < count && own.name != nullptr && own.tensor.rank >= 0);
      size_t bytes = static_cast<size_t>(mxl_dtype_bits(own.tensor.dtype));
      for (int32_t axis = 0; axis < own.tensor.rank; axis++) bytes *= static_cast<size_t>(own.tensor.shape[axis]);
      volatile uint8_t sum = 0;
      for (size_t at = 0; own.tensor.data != nullptr && own.tensor.strides == nullptr && at < bytes / 8; at++)
        sum = sum + static_cast<const uint8_t *>(own.tensor.data)[at];
      if (own.release != nullptr) own.release(own.owner);
    }
  }

  // y has as many elements as the layer is asked to write, whatever that is. `like`: of its shapes.
  struct call {
    std::vector<int64_t> x_shape, y_shape;
    std::vector<uint8_t> x, y;
    mxl_tensor x_view = {}, y_view = {};
  };
  static size_t bytes_of(const std::vector<int64_t> &shape, int32_t dtype) {
    return static_cast<size_t>(shape[0] * shape[1] * mxl_dtype_bits(dtype) / 8);
  }
  void make_call(call &made, const call *like = nullptr) {
    static const int32_t dtypes[] = {MXL_FLOAT32, MXL_FLOAT32, MXL_FLOAT16, MXL_BFLOAT16};
    uint16_t kind = in_.number<uint16_t>();
    int32_t x_dtype = dtypes[kind >> 8 & 3], y_dtype = dtypes[kind >> 10 & 3];
    made.x_shape = {kind % 4, std::clamp<int64_t>(dimension(), 0, 512)};
    made.y_shape = {kind % 4, std::clamp<int64_t>(dimension(), 0, 512)};
    if (like != nullptr) made.x_shape = like->x_shape, made.y_shape = like->y_shape;
    made.x = in_.repeated(bytes_of(made.x_shape, x_dtype));
    if (like != nullptr && like->x_view.dtype == x_dtype) made.x = like->x;
    made.y.resize(bytes_of(made.y_shape, y_dtype));
    made.x_view = {made.x.data(), x_dtype, 2, {}, made.x_shape.data(), nullptr};
    made.y_view = {made.y.data(), y_dtype, 2, {}, made.y_shape.data(), nullptr};
  }

  void forward() {
    mxl_run_options options = {in_.struct_size(sizeof options), in_.enumerator(3), in_.enumerator(1)};
    uint8_t kind = in_.number<uint8_t>();
    size_t count = kind & 1 ? 1 : in_.below(5);
    std::vector<call> calls(std::max<size_t>(count, 1));
    std::vector<mxl_tensor> xs, ys;
    for (call &one : calls) {
      make_call(one, &one != &calls[0] && (kind & 6) != 0 ? &calls[0] : nullptr);
      xs.push_back(one.x_view);
      ys.push_back(one.y_view);
    }
    mxl_layer *from = layer();
    static_cast<void>(CHECKED(mxl_layer_forward, from, &options, &xs[0], &ys[0]));
    static_cast<void>(CHECKED(mxl_layer_forward_devices, from, &options, xs.data(), ys.data(), count));
  }

  void together() {
    std::vector<const mxl_layer *> chosen(1 + in_.below(3));
    for (const mxl_layer *&one : chosen) one = layer();
    std::vector<call> calls(chosen.size());
    std::vector<mxl_tensor> ys;
    for (call &one : calls) {
      make_call(one);
      one.y_shape[0] = calls[0].x_shape[0];
      one.y.resize(bytes_of(one.y_shape, one.y_view.dtype));
      one.y_view.data = one.y.data();
      ys.push_back(one.y_view);
    }
    static_cast<void>(CHECKED(mxl_layers_forward, chosen.data(), chosen.size(), nullptr, &calls[0].x_view, ys.data()));
  }

  void ask() {
    mxl_layer *of = layer();
    const char *name = nullptr;
    if (CHECKED(mxl_layer_kernel, of, &name) == MXL_OK) EXPECT(name != nullptr && *name != 0);
    mxl_memory memory = {};
    memory.struct_size = in_.struct_size(sizeof memory);
    static_cast<void>(CHECKED(mxl_layer_memory, of, &memory));
    size_t count = 0;
    int64_t begin = 0, end = 0;
    if (CHECKED(mxl_layer_shard, of, in_.below(5), &count, &begin, &end) == MXL_OK) EXPECT(count == 0 || begin < end);
  }

  void quantize() {
    std::vector<mxl_entry> given(4);
    for (mxl_entry &one : given) one = entry();
    mxl_quantize_options options = {};
    options.struct_size = in_.struct_size(sizeof options);
    options.threads = in_.enumerator(2);
    if (in_.flag()) options.importance = &given[3].tensor;
    const char *name = encoding();
    mxl_tensor *tensor[] = {&given[0].tensor, &given[1].tensor, &given[2].tensor, &given[3].tensor};
    static_cast<void>(CHECKED(mxl_quantize, name, &options, tensor[0], tensor[1]));
    static_cast<void>(CHECKED(mxl_dequantize, name, tensor[0], tensor[1]));
    static_cast<void>(CHECKED(mxl_quantize_float8, &options, tensor[0], tensor[1], in_.flag() ? nullptr : tensor[2]));
    static_cast<void>(CHECKED(mxl_dequantize_float8, tensor[0], in_.flag() ? nullptr : tensor[1], tensor[2]));
    const mxl_quantization *config = quantization();
    static_cast<void>(CHECKED(mxl_quantize_gptq, config, &options, tensor[0], tensor[1], tensor[2], tensor[3]));
    static_cast<void>(CHECKED(mxl_gate, in_.enumerator(5), tensor[0], tensor[1], tensor[2]));
  }

  fuzz::input &in_;
  std::vector<mxl_layer *> layers_;
  std::vector<std::unique_ptr<lent>> lent_;
  std::deque<std::string> texts_;
  std::deque<float> floats_;
  std::deque<std::vector<int64_t>> shapes_;
  std::deque<std::vector<mxl_device>> devices_;
  std::deque<mxl_quantization> quantizations_;
  std::deque<mxl_linear_options> linears_;
  std::deque<mxl_mlp_options> mlps_;
  std::deque<mxl_parallel_options> parallels_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::input input(data, size);
  session(input).run();
  return 0;
}
