// A C++ client that goes through maxlinear.hpp: every layer and function once, compared with the C functions or with one another.
// client CHECKPOINT: a checkpoint with w (2, 3) of 1 to 6.
#include <maxlinear.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <vector>

namespace {

using maxlinear::const_tensor;
using maxlinear::tensor;

void expect(bool holds, const char *what, int line) {
  if (holds) return;
  std::fprintf(stderr, "line %d: %s\n", line, what);
  std::exit(1);
}
#define EXPECT(condition) expect(condition, #condition, __LINE__)

template <class Body>
void refuses(mxl_status status, const std::string &message, Body body, int line) {
  try {
    body();
  } catch (const maxlinear::error &error) {
    if (error.status() == status && std::string(error.what()).find(message) != std::string::npos) return;
    std::fprintf(stderr, "line %d: %s: %s\n", line, mxl_status_name(error.status()), error.what());
    std::exit(1);
  }
  expect(false, "no exception", line);
}
#define REFUSES(status, message, ...) refuses(status, message, [&] { __VA_ARGS__; }, __LINE__)

std::vector<float> values(std::size_t count) {
  std::vector<float> made(count);
  unsigned state = 7;
  for (float &value : made) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int>(state >> 16 & 255) - 128) / 64;
  }
  return made;
}

std::vector<float> run(const maxlinear::layer &layer, const std::vector<float> &x, std::int64_t rows,
                       std::int64_t out_dim) {
  std::vector<float> y(static_cast<std::size_t>(rows * out_dim));
  layer.forward({x, {rows, static_cast<std::int64_t>(x.size()) / rows}}, {y, {rows, out_dim}});
  return y;
}

void tensors() {
  std::vector<float> x(6);
  const std::vector<float> fixed(6);
  std::array<std::int32_t, 4> numbers{};
  float plain[6] = {};
  static_assert(!std::is_constructible_v<tensor, const std::vector<float> &>, "no writing through const");
  static_assert(std::is_convertible_v<tensor, const_tensor> && !std::is_convertible_v<const_tensor, tensor>, "");
  EXPECT(tensor(x).shape()[0] == 6 && tensor(plain, {2, 3}).type() == maxlinear::dtype::float32);
  EXPECT(const_tensor(fixed, {2, 3}).c().rank == 2 && const_tensor(numbers).type() == maxlinear::dtype::int32);
  EXPECT(tensor(plain + 1, {2}, {2}).c().strides[0] == 2 && tensor(x, std::vector<int>{3, 2}).shape()[1] == 2);
  REFUSES(MXL_INVALID_SHAPE, "the container has 6", tensor(x, {7}));
  REFUSES(MXL_INVALID_SHAPE, "the container has 6", tensor(plain, {2, 4}));
  REFUSES(MXL_INVALID_SHAPE, "too many", tensor(x, {INT64_MAX, 2}));
  REFUSES(MXL_INVALID_SHAPE, "strides", tensor(plain + 0, {2, 3}, {3}));
  REFUSES(MXL_INVALID_SHAPE, "16", tensor(x, std::vector<int>(17, 1)));
  const std::size_t rows = 3;
  const unsigned columns = 2;
  EXPECT(tensor(x, {rows, rows - 1}).shape()[0] == 3 && tensor(x, {1, rows, columns}).shape().count() == 6);
}

void linears(const char *checkpoint) {
  const std::vector<float> weight{1, 2, 3, 4, 5, 6}, x{1, 1, 1};
  std::vector<float> y(2);
  maxlinear::linear layer(3, 2);
  REFUSES(MXL_NOT_LOADED, "", layer.prepare());
  REFUSES(MXL_UNEXPECTED_KEY, "other", layer.load({{"weight", {weight, {2, 3}}}, {"other", weight}}));
  layer.load({{"weight", {weight, {2, 3}}}});
  layer.prepare();
  layer.forward(x, y);
  EXPECT(y[0] == 6 && y[1] == 15);
  REFUSES(MXL_INVALID_SHAPE, "x: last dimension is 2, expected in_dim = 3", layer.forward(y, y));
  REFUSES(MXL_INVALID_ARGUMENT, "threads", layer.forward(x, y, {-1, false}));
  layer.forward(x, y, {1, true});
  EXPECT(y[0] == 12 && y[1] == 30);
  EXPECT(layer.kernel().find("mxlk_linear_f32") == 0 && layer.memory().packed > 0 && layer.memory().source == 0);

  // Copies are one layer; what a layer no longer needs, its owner loses.
  maxlinear::layer other = layer, moved = std::move(layer);
  auto owner = std::make_shared<const std::vector<float>>(6, 1.0f);
  const maxlinear::entry borrowed{"weight", {*owner, {2, 3}}, "", MXL_STORAGE_BORROW, owner};
  REFUSES(MXL_ALREADY_PREPARED, "", moved.load({borrowed}));
  EXPECT(owner.use_count() == 2);
  other.load({borrowed}, MXL_LOAD_REPLACE);
  EXPECT(run(moved, x, 1, 2) == (std::vector<float>{3, 3}) && owner.use_count() == 2);
  const std::vector<maxlinear::entry> state = moved.state();
  EXPECT(state.size() == 1 && state[0].name == "weight" && state[0].value.shape()[1] == 3);
  EXPECT(static_cast<const float *>(state[0].value.data())[5] == 1);
  layer = maxlinear::linear(3, 2);

  std::vector<float> bias{10, 20};
  maxlinear::linear_v1 given(const_tensor(weight, {2, 3}), bias);
  given.prepare();
  EXPECT(run(given, x, 1, 2) == (std::vector<float>{16, 35}));

  maxlinear::linear_options options;
  options.name = "lin";
  options.clip_weight = 2.0f;
  maxlinear::linear clipped(3, 2, options);
  clipped.load({{"lin.weight", {weight, {2, 3}}}});
  clipped.prepare();
  EXPECT(run(clipped, x, 1, 2) == (std::vector<float>{5, 6}));

  maxlinear::linear stored(3, 2);
  {
    const maxlinear::weights weights(checkpoint);
    EXPECT(weights.size() == 1 && weights.contains("w") && !weights.contains("v") &&
           weights["w"].name == weights[0].name);
    REFUSES(MXL_MISSING_KEY, "v", weights["v"]);
    EXPECT(!maxlinear::quantization_of(weights));
    maxlinear::entry mapped = weights["w"];
    mapped.name = "weight";
    stored.load({mapped});
  }
  stored.prepare({MXL_COMPUTE_FLOAT32, MXL_PACK_NEVER, 1});
  EXPECT(run(stored, x, 1, 2) == (std::vector<float>{6, 15}) && stored.memory().mapped == 24);
  REFUSES(MXL_IO, "", maxlinear::weights("not there.gguf"));
  REFUSES(MXL_IO, "not there", maxlinear::weights({"not there-1.safetensors", "not there-2.safetensors"}));
  REFUSES(MXL_INVALID_FILE, "", maxlinear::weights({checkpoint, checkpoint}));
  EXPECT(maxlinear::weights({checkpoint}).size() == 1 && maxlinear::weights{checkpoint}.size() == 1);
}

void encodings() {
  const auto weight = values(2 * 256), x = values(3 * 256);
  REFUSES(MXL_UNSUPPORTED, "Q9", maxlinear::quantize("Q9", {weight, {2, 256}}));
  REFUSES(MXL_INVALID_SHAPE, "256", maxlinear::quantize("Q4_K", {weight, {4, 128}}));
  EXPECT(maxlinear::block_of("Q4_K").elements == 256 && maxlinear::block_of("Q4_K").bytes == 144);
  const std::vector<float> importance(256, 1.0f);
  const auto blocks = maxlinear::quantize("Q4_K", {weight, {2, 256}}, importance, 1);
  const auto back = maxlinear::dequantize("Q4_K", {blocks, {2, 144}});
  EXPECT(blocks.size() == 288 && back.size() == weight.size() && std::abs(back[9] - weight[9]) < 0.3f);
  maxlinear::qlinear layer({blocks, {2, 144}}, "Q4_K");
  layer.prepare();
  maxlinear::linear_options options;
  options.encoding = "Q4_K";
  options.type = maxlinear::dtype::uint8;
  maxlinear::linear same(256, 2, options);
  same.load({{"weight", {blocks, {2, 144}}}});
  const auto foretold = maxlinear::can_run(256, 2, options);
  same.prepare();
  EXPECT(run(layer, x, 3, 2) == run(same, x, 3, 2) && same.kernel() == foretold);
  REFUSES(MXL_INVALID_SHAPE, "256", maxlinear::can_run(255, 2, options));
  REFUSES(MXL_UNSUPPORTED, "compute", maxlinear::can_run(255, 2, {}, {MXL_COMPUTE_INT8}));

  maxlinear::quantization how;
  how.group_size = 64;
  how.sym = true;
  std::vector<std::int32_t> qweight(32 * 2), qzeros(4 * 1);
  std::vector<float> scales(4 * 2);
  maxlinear::quantize_gptq(how, {weight, {2, 256}}, {qweight, {32, 2}}, {qzeros, {4, 1}}, {scales, {4, 2}});
  maxlinear::gptq_linear gptq(256, 2, how);
  gptq.load({{"qweight", {qweight, {32, 2}}}, {"qzeros", {qzeros, {4, 1}}}, {"scales", {scales, {4, 2}}}});
  gptq.prepare();
  EXPECT(std::abs(run(gptq, x, 3, 2)[0] - run(same, x, 3, 2)[0]) < 40);
  // What a layer does without is not handed out: the state loads back.
  EXPECT(maxlinear::gptq_linear(256, 2, how).state().size() == 5);
  maxlinear::gptq_linear again(256, 2, how);
  again.load(gptq.state());
  again.prepare();
  EXPECT(gptq.state().size() == 3 && run(again, x, 3, 2) == run(gptq, x, 3, 2));
  how.quant_method = "awq";
  how.checkpoint_format = "gemm";
  REFUSES(MXL_INVALID_SHAPE, "multiple of 8", maxlinear::gptq_linear(256, 2, how));
  how.quant_method = "other";
  REFUSES(MXL_UNSUPPORTED, "quant_method", maxlinear::gptq_linear(256, 2, how));

  maxlinear::linear_options small;
  small.type = maxlinear::dtype::float8_e4m3;
  maxlinear::linear narrow(256, 2, small);
  std::vector<std::uint8_t> ones(2 * 256, 0x38);
  narrow.load({{"weight", {ones.data(), maxlinear::dtype::float8_e4m3, {2, 256}}}});
  narrow.prepare();
  EXPECT(run(narrow, std::vector<float>(256, 1), 1, 2)[0] == 256);
  const std::vector<float> twos(2, 2.0f);
  maxlinear::linear_v1 scaled({ones.data(), maxlinear::dtype::float8_e4m3, {2, 256}}, {}, twos);
  scaled.prepare();
  EXPECT(run(scaled, std::vector<float>(256, 1), 1, 2)[1] == 512);

  const tensor codes(ones.data(), maxlinear::dtype::float8_e4m3, {2, 256});
  std::vector<float> scale(2), given(2 * 256);
  maxlinear::quantize_float8({weight, {2, 256}}, codes, scale, 1);
  maxlinear::dequantize_float8(codes, scale, {given, {2, 256}});
  EXPECT(scale[0] > 0 && std::abs(given[9] - weight[9]) < 0.2f);
  maxlinear::quantize_float8({weight, {2, 256}}, codes);
  maxlinear::dequantize_float8(codes, {}, {given, {2, 256}});
  EXPECT(std::abs(given[9] - weight[9]) < 0.2f);
  EXPECT(maxlinear::choose_encoding("Q4_K", "Q8_0", 384) == "Q8_0" &&
         maxlinear::choose_encoding("Q4_K", "", 256) == "Q4_K");
  REFUSES(MXL_INVALID_SHAPE, "384", maxlinear::choose_encoding("Q4_K", "", 384));
}

void mlps() {
  const std::int64_t hidden = 64, wide = 512;
  const auto gate = values(512 * 64), up = values(512 * 64), down = values(64 * 512), x = values(3 * 64);
  const std::vector<maxlinear::entry> state{{"gate_proj.weight", {gate, {wide, hidden}}},
                                            {"down_proj.weight", {down, {hidden, wide}}},
                                            {"up_proj.weight", {up, {wide, hidden}}}};
  maxlinear::mlp_options options;
  options.activation = MXL_ACTIVATION_GELU;
  maxlinear::mlp whole(hidden, wide, options);
  whole.load(state);
  whole.prepare();
  const auto y = run(whole, x, 3, hidden);

  maxlinear::linear_v1 parts[] = {maxlinear::linear_v1({gate, {wide, hidden}}),
                                  maxlinear::linear_v1({down, {hidden, wide}}),
                                  maxlinear::linear_v1({up, {wide, hidden}})};
  for (auto &part : parts) part.prepare();
  maxlinear::mlp joined(parts[0], parts[1], parts[2], MXL_ACTIVATION_GELU);
  joined.prepare();
  EXPECT(run(joined, x, 3, hidden) == y);
  auto h = run(parts[0], x, 3, wide);
  const auto u = run(parts[2], x, 3, wide);
  maxlinear::gate(MXL_ACTIVATION_GELU, h, u, h);
  EXPECT(run(parts[1], h, 3, hidden) == y);

  options.devices = maxlinear::cpu_devices(2);
  maxlinear::distributed_mlp shared(hidden, wide, options);
  shared.load(state);
  shared.prepare();
  std::vector<float> first(y.size()), second(y.size());
  const maxlinear::dimensions shape{3, hidden};
  std::vector<float> once(3 * wide), twice(3 * wide);
  maxlinear::forward_together({&parts[0], &parts[2]}, {x, shape}, {{once, {3, wide}}, {twice, {3, wide}}});
  EXPECT(once == run(parts[0], x, 3, wide) && twice == run(parts[2], x, 3, wide));
  REFUSES(MXL_INVALID_HANDLE, "layers[0]", maxlinear::forward_together({nullptr}, {x, shape}, {{once, {3, wide}}}));
  REFUSES(MXL_INVALID_ARGUMENT, "there are 0, expected one for each of the 1",
          maxlinear::forward_together({&parts[0]}, {x, shape}, {}));
  shared.forward({{x, shape}, {x, shape}}, {{first, shape}, {second, shape}});
  EXPECT(first == y && second == y && shared.shards().size() == 2 && shared.shards()[1].second == wide);
  REFUSES(MXL_INVALID_ARGUMENT, "ys", shared.forward({{x, shape}, {x, shape}}, {{first, shape}}));

  maxlinear::column_parallel_linear columns(hidden, wide, options.devices, false);
  columns.load({{"weight", {gate, {wide, hidden}}}});
  columns.prepare();
  std::vector<float> left(3 * 256), right(3 * 256);
  columns.forward({{x, shape}, {x, shape}}, {{left, {3, 256}}, {right, {3, 256}}});
  EXPECT(left[256] == run(parts[0], x, 3, wide)[512] && right[0] == run(parts[0], x, 3, wide)[256]);

  maxlinear::row_parallel_linear rows(hidden, wide, options.devices);
  rows.load({{"weight", {gate, {wide, hidden}}}});
  rows.prepare();
  EXPECT(rows.shards()[0].second == rows.shards()[1].first);

  // A list is one x a device, of one device too; else it is the undivided call.
  maxlinear::column_parallel_linear single(hidden, wide, maxlinear::cpu_devices(1));
  single.load({{"weight", {gate, {wide, hidden}}}});
  single.prepare();
  const std::vector<float> row(x.begin(), x.begin() + hidden);
  std::vector<float> flat(wide), again(wide);
  single.forward({row}, {flat});
  EXPECT(flat == run(parts[0], row, 1, wide));
  const const_tensor one_x(row);
  const tensor one_y(again);
  single.forward({one_x}, {one_y});
  EXPECT(again == flat);
  single.forward(row, again);
  std::vector<float> several(3 * wide);
  single.forward({x, shape}, {several, {3, wide}});
  EXPECT(again == flat && several == run(parts[0], x, 3, wide));
}

/* A communicator of one rank. */
void ranks(const std::string &plugin, const std::string &native) {
  maxlinear::load_plugin(plugin);
  REFUSES(MXL_IO, "not there", maxlinear::load_plugin("not there.so"));
  maxlinear::communicator alone("memory", native.c_str());
  EXPECT(alone.rank() == 0 && alone.size() == 1);
  const std::int64_t hidden = 64, wide = 512;
  const auto gate = values(512 * 64), down = values(64 * 512), x = values(3 * 64);
  maxlinear::mlp_options options;
  options.ranks = alone;
  maxlinear::distributed_mlp shared(hidden, wide, options);
  shared.load({{"gate_proj.weight", {gate, {wide, hidden}}},
               {"down_proj.weight", {down, {hidden, wide}}},
               {"up_proj.weight", {gate, {wide, hidden}}}});
  shared.prepare();
  maxlinear::column_parallel_linear columns(hidden, wide, alone);
  maxlinear::row_parallel_linear rows(hidden, wide, alone);
  maxlinear::linear one(hidden, wide);
  for (maxlinear::layer *layer : std::initializer_list<maxlinear::layer *>{&columns, &rows, &one}) {
    layer->load({{"weight", {gate, {wide, hidden}}}});
    layer->prepare();
  }
  const auto y = run(one, x, 3, wide);
  EXPECT(run(columns, x, 3, wide) == y && run(rows, x, 3, wide) == y && run(shared, x, 3, hidden).size() == 3 * 64);
  alone.abort("enough");
  REFUSES(MXL_COMMUNICATION, "enough", run(shared, x, 3, hidden));
}

}  // namespace

int main(int argc, char **argv) {
  tensors();
  linears(argv[1]);
  encodings();
  mlps();
  REFUSES(MXL_INVALID_ARGUMENT, "kind", maxlinear::communicator("none"));
  if (argc > 2) ranks(argv[2], argv[3]);
  EXPECT(maxlinear::threads() >= 1 && maxlinear::info().find("\"encodings\"") != std::string::npos);
  REFUSES(MXL_INVALID_ARGUMENT, "", maxlinear::set_threads(0));
  std::printf("%s\n", maxlinear::version().c_str());
}
