// Any bytes as the JSON that says how a GPTQ or AWQ checkpoint is quantized. The first byte chooses the file's name and the checkpoint.
#include "checkpoint.hpp"

namespace {

void add(std::vector<fuzz::tensor> &tensors, const std::string &name, int64_t k, int64_t n, bool is_awq) {
  int64_t groups = k / 32;
  if (is_awq)
    tensors.push_back({name + ".qweight", "I32", {k, n / 8}});
  else
    tensors.push_back({name + ".qweight", "I32", {k / 8, n}});
  // Zero points of a symmetric checkpoint: 8, stored as 7.
  tensors.push_back({name + ".qzeros", "I32", {groups, n / 8}, 0x77});
  tensors.push_back({name + ".scales", "F16", {groups, n}});
}

std::vector<fuzz::tensor> mlp(bool is_awq) {
  std::vector<fuzz::tensor> tensors;
  add(tensors, "model.layers.0.mlp.gate_proj", 64, 32, is_awq);
  add(tensors, "model.layers.0.mlp.down_proj", 32, 64, is_awq);
  add(tensors, "model.layers.0.mlp.up_proj", 64, 32, is_awq);
  return tensors;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static fuzz::folder folder;
  static const std::string gptq = folder.write_safetensors("gptq.safetensors", mlp(false));
  static const std::string awq = folder.write_safetensors("awq.safetensors", mlp(true));
  static const char *const names[] = {"quantize_config.json", "quant_config.json", "config.json"};
  if (size == 0) return 0;
  const char *name = names[data[0] % 3];
  folder.write(name, data + 1, size - 1);
  mxl_weights *weights = fuzz::open_weights(data[0] & 4 ? awq : gptq);
  EXPECT(weights != nullptr);
  mxl_quantization config = {};
  config.struct_size = sizeof config;
  if (CHECKED(mxl_weights_quantization, weights, &config) == MXL_OK)
    EXPECT(config.quant_method != nullptr && (config.desc_act | config.sym | 1) == 1);
  fuzz::run_mlp(weights);
  mxl_weights_destroy(weights);
  folder.remove(name);
  return 0;
}
