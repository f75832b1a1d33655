// Structs of plugins, as long as their struct_size says and no longer, against the rules that a plugin is held to before it is registered.
#include "input.hpp"

#include <memory>

extern "C" {
#include "plugins/plugins.h"
}

namespace {

void dequantize(const void *, int64_t, float *) {}
void quantize(const float *, const float *, int64_t, void *) {}
// a + b k of the row's context.
size_t packed_size(const mxl_kernel_row *row, int64_t k) {
  const auto *numbers = static_cast<const uint32_t *>(row->context);
  return numbers == nullptr ? 0 : numbers[0] + numbers[1] * static_cast<size_t>(k);
}
void pack(const mxl_kernel_row *, const mxl_source *, int64_t, int64_t, int64_t, void *) {}
void unpack(const mxl_kernel_row *, const void *, int64_t, int64_t, int64_t, const mxl_source *) {}
void run(const mxl_kernel_row *, const mxl_tile *) {}
void expand(const mxl_kernel_row *, const void *, int64_t, void *) {}
void arrange(const mxl_kernel_row *, const void *, int64_t, int64_t, void *) {}
void touch(const mxl_kernel_row *) {}
mxl_status create(const mxl_communicator_kind *, const void *, void **, mxl_error *) { return MXL_UNSUPPORTED; }
void destroy(void *) {}
int32_t rank(void *) { return 0; }
mxl_status barrier(void *, mxl_error *) { return MXL_OK; }
mxl_status broadcast(void *, void *, size_t, int32_t, mxl_error *) { return MXL_OK; }
mxl_status allgather(void *, const void *, void *, const size_t *, const size_t *, mxl_error *) { return MXL_OK; }
void abort_all(void *, const char *) {}

// Owns what the structs point to.
class builder {
 public:
  explicit builder(fuzz::input &from) : in_(from) {}

  mxl_encoding encoding() {
    mxl_encoding made = {};
    made.struct_size = in_.struct_size(sizeof made);
    made.dtype = in_.number<uint8_t>() < 240 ? MXL_UINT8 : in_.enumerator(MXL_INT64);
    made.name = name();
    made.elements_per_block = in_.number<uint8_t>() < 200 ? int64_t{1} << in_.below(10) : in_.size(300);
    made.block_size = in_.size(600);
    made.dequantize = in_.number<uint8_t>() < 240 ? dequantize : nullptr;
    made.quantize = in_.flag() ? quantize : nullptr;
    made.largest = in_.number<float>();
    return made;
  }

  mxl_kernel_row row() {
    mxl_kernel_row made = {};
    made.struct_size = in_.struct_size(sizeof made);
    made.op = in_.number<uint8_t>() < 240 ? MXL_OP_LINEAR : in_.enumerator(3);
    made.compute = in_.enumerator(4);
    made.rank = in_.enumerator(100);
    made.cpu_features = in_.flag() ? 0 : in_.number<uint64_t>();
    made.name = name();
    made.encoding = name();
    made.tile_rows = in_.enumerator(64);
    made.panel_columns = in_.number<uint8_t>() < 200 ? 16 * static_cast<int32_t>(in_.below(6)) : in_.enumerator(80);
    made.packed_size = in_.number<uint8_t>() < 240 ? packed_size : nullptr;
    made.pack = in_.number<uint8_t>() < 240 ? pack : nullptr;
    made.unpack = in_.flag() ? unpack : nullptr;
    made.run = in_.number<uint8_t>() < 240 ? run : nullptr;
    made.expand = in_.flag() ? expand : nullptr;
    made.expanded_size =
        made.expand == nullptr && in_.number<uint8_t>() < 240 ? 0 : static_cast<size_t>(in_.size(1 << 15));
    made.run_packed = in_.flag() ? run : nullptr;
    numbers_.push_back(std::make_unique<uint32_t[]>(2));
    numbers_.back()[0] = 32 * in_.number<uint8_t>();
    numbers_.back()[1] = in_.number<uint8_t>() < 240 ? in_.number<uint8_t>() : in_.number<uint32_t>();
    made.context = in_.number<uint8_t>() < 240 ? numbers_.back().get() : nullptr;
    made.side_rows = in_.flag() ? 0 : in_.number<int32_t>();
    made.least_rows = in_.flag() ? in_.number<uint8_t>() : in_.number<int32_t>();
    made.arrange = in_.flag() ? arrange : nullptr;
    made.arranged_size = in_.flag() ? 64 * static_cast<size_t>(in_.below(70)) : in_.number<uint64_t>();
    if (made.arrange == nullptr && in_.number<uint8_t>() < 240) made.arranged_size = 0;
    made.enter = in_.flag() ? touch : nullptr;
    made.leave = in_.number<uint8_t>() < 240 ? made.enter : touch;
    return made;
  }

  mxl_communicator_kind communicator() {
    mxl_communicator_kind made = {};
    made.struct_size = in_.struct_size(sizeof made);
    made.name = name();
    uint16_t missing = in_.flag() ? 0 : in_.number<uint16_t>();
    made.create = missing & 1 ? nullptr : create;
    made.destroy = missing & 2 ? nullptr : destroy;
    made.rank = missing & 4 ? nullptr : rank;
    made.size = missing & 8 ? nullptr : rank;
    made.barrier = missing & 16 ? nullptr : barrier;
    made.broadcast = missing & 32 ? nullptr : broadcast;
    made.allgather = missing & 64 ? nullptr : allgather;
    made.abort = missing & 128 ? nullptr : abort_all;
    return made;
  }

  // A copy with as many bytes as its struct_size says, at least those of struct_size itself.
  template <class Struct>
  const Struct *exact(const Struct &whole) {
    size_t bytes = std::clamp<size_t>(whole.struct_size, sizeof(uint32_t), sizeof whole);
    memory_.push_back(std::make_unique<uint8_t[]>(bytes));
    std::memcpy(memory_.back().get(), &whole, bytes);
    return reinterpret_cast<const Struct *>(memory_.back().get());
  }

  template <class Struct, class Make>
  const Struct *const *array(size_t *count, Make make) {
    size_t length = in_.below(in_.number<uint8_t>() < 250 ? 4 : 40);
    memory_.push_back(std::make_unique<uint8_t[]>(std::max<size_t>(length, 1) * sizeof(void *)));
    auto *made = reinterpret_cast<const Struct **>(memory_.back().get());
    for (size_t i = 0; i < length; i++) made[i] = in_.number<uint8_t>() < 250 ? exact(make()) : nullptr;
    *count = length;
    uint8_t kind = in_.number<uint8_t>();
    if (kind > 250) *count = 8193 + in_.number<uint64_t>() / 2;
    return kind == 250 ? nullptr : made;
  }

 private:
  const char *name() {
    static const char *const known[] = {"mine", "other", "Q4_K", "F32", "GPTQ_32", "mxlk_linear_mine_f32_1x16__c",
                                        "mpi"};
    uint8_t kind = in_.number<uint8_t>();
    if (kind < 200) return known[kind % 7];
    if (kind == 200) return nullptr;
    // Without a NUL where it is too long for any name.
    size_t length = kind < 210 ? 128 : in_.below(70);
    memory_.push_back(std::make_unique<uint8_t[]>(length + (length < 128)));
    in_.bytes(memory_.back().get(), length);
    if (length >= 128) std::replace(memory_.back().get(), memory_.back().get() + length, uint8_t{0}, uint8_t{'a'});
    return reinterpret_cast<const char *>(memory_.back().get());
  }

  fuzz::input &in_;
  std::vector<std::unique_ptr<uint8_t[]>> memory_;
  std::vector<std::unique_ptr<uint32_t[]>> numbers_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::input input(data, size);
  builder make(input);
  mxl_plugin plugin = {};
  plugin.struct_size = input.struct_size(sizeof plugin);
  plugin.abi_major = input.number<uint8_t>() < 240 ? MXL_PLUGIN_ABI_MAJOR : input.number<uint32_t>();
  plugin.abi_minor = input.number<uint8_t>() < 200 ? MXL_PLUGIN_ABI_MINOR : input.number<uint32_t>();
  plugin.name = "fuzzed";
  plugin.encodings = make.array<mxl_encoding>(&plugin.encoding_count, [&] { return make.encoding(); });
  plugin.rows = make.array<mxl_kernel_row>(&plugin.row_count, [&] { return make.row(); });
  plugin.communicators =
      make.array<mxl_communicator_kind>(&plugin.communicator_count, [&] { return make.communicator(); });
  const mxl_plugin *whole = make.exact(plugin);
  // Cut where it must be.
  size_t capacity = input.flag() ? 504 : 1 + input.below(64);
  std::vector<char> text(capacity, 'x');
  mxlk_reason reason = {text.data(), capacity};
  mxl_status status = mxlk_plugin_check(whole, &reason);
  EXPECT(status == MXL_OK || std::memchr(text.data(), 0, capacity) != nullptr);
  EXPECT(status == MXL_OK || status == MXL_INVALID_FILE || status == MXL_INVALID_ARGUMENT || status == MXL_UNSUPPORTED);
  if (status != MXL_OK) return 0;
  for (size_t i = 0; i < plugin.encoding_count; i++) {
    mxl_encoding encoding = mxlk_encoding_read(plugin.encodings[i]);
    mxl_kernel_row rows[MXLK_GENERIC_ROWS];
    char names[MXLK_GENERIC_ROWS][MXL_MOST_ROW_NAME + 1];
    for (size_t made = mxlk_generic_rows(&encoding, rows, names); made-- > 0;) {
      EXPECT(std::memchr(names[made], 0, sizeof names[made]) != nullptr && rows[made].name == names[made]);
      rows[made].rank = 0;  // a plugin's own are not below
      EXPECT(mxlk_row_check(&rows[made], &rows[made], &encoding, &reason) == MXL_OK);
    }
  }
  return 0;
}
