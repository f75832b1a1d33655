// Files from the fuzzer's bytes, and everything that a checkpoint can be asked.
#ifndef FUZZ_CHECKPOINT_HPP
#define FUZZ_CHECKPOINT_HPP

#include "input.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace fuzz {

// A tensor whose bytes are all the same.
struct tensor {
  std::string name, dtype;
  std::vector<int64_t> shape;
  char byte = 0;
};

// A folder of this process, removed when it ends.
class folder {
 public:
  folder() {
    std::string shape = std::string(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + "/maxlinear-fuzz-XXXXXX";
    EXPECT(mkdtemp(shape.data()) != nullptr);
    path_ = shape;
  }
  ~folder() {
    for (const std::string &file : files_) unlink(file.c_str());
    rmdir(path_.c_str());
  }

  std::string path(const std::string &name) const { return path_ + "/" + name; }

  std::string write(const std::string &name, const void *data, size_t size) {
    std::string file = path(name);
    // A new file each time: a mapping of the old one may still live in a layer.
    unlink(file.c_str());
    int descriptor = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    EXPECT(descriptor >= 0);
    EXPECT(size == 0 || ::write(descriptor, data, size) == static_cast<ssize_t>(size));
    close(descriptor);
    if (std::find(files_.begin(), files_.end(), file) == files_.end()) files_.push_back(file);
    return file;
  }

  // A safetensors file of these tensors.
  std::string write_safetensors(const std::string &name, const std::vector<tensor> &tensors) {
    std::string header = "{", shape, data;
    int64_t end = 0;
    for (const tensor &one : tensors) {
      int64_t begin = end, bytes = one.dtype == "F16" ? 2 : 4;
      shape.clear();
      for (int64_t dimension : one.shape) {
        shape += (shape.empty() ? "" : ",") + std::to_string(dimension);
        bytes *= dimension;
      }
      end += bytes;
      data.append(static_cast<size_t>(bytes), one.byte);
      header += (begin == 0 ? "\"" : ",\"") + one.name + "\":{\"dtype\":\"" + one.dtype + "\",\"shape\":[" + shape +
                "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]}";
    }
    header += "}";
    uint64_t length = header.size();
    std::string file(reinterpret_cast<const char *>(&length), sizeof length);
    file += header + data;
    return write(name, file.data(), file.size());
  }

  void remove(const std::string &name) const { unlink(path(name).c_str()); }

 private:
  std::string path_;
  std::vector<std::string> files_;
};

inline size_t elements(const mxl_tensor &tensor) {
  size_t count = 1;
  for (int32_t axis = 0; axis < tensor.rank; axis++) count *= static_cast<size_t>(tensor.shape[axis]);
  return count;
}

// The entry's bytes: all are read.
inline size_t read_entry(const mxl_entry &entry) {
  EXPECT(entry.name != nullptr && entry.release == nullptr && entry.storage == MXL_STORAGE_MAP);
  EXPECT(entry.tensor.rank >= 0 && entry.tensor.rank <= MXL_MAX_RANK && entry.tensor.strides == nullptr);
  EXPECT(mxl_dtype_bits(entry.tensor.dtype) > 0);
  size_t bytes = elements(entry.tensor) * static_cast<size_t>(mxl_dtype_bits(entry.tensor.dtype)) / 8;
  volatile uint8_t sum = 0;
  for (size_t i = 0; i < bytes; i++) sum = sum + static_cast<const uint8_t *>(entry.tensor.data)[i];
  return bytes;
}

// A linear layer filled from the checkpoint's tensor of that name, run on one row.
inline void run_linear(const mxl_weights *weights, const mxl_entry &entry) {
  std::string name = entry.name;
  size_t dot = name.rfind("weight");
  if (dot == std::string::npos || dot + 6 != name.size() || entry.tensor.rank != 2) return;
  int64_t out_dim = entry.tensor.shape[0], in_dim = entry.tensor.shape[1];
  mxl_linear_options options = {};
  options.struct_size = sizeof options;
  options.dtype = entry.tensor.dtype;
  options.encoding = entry.encoding;
  if (entry.encoding != nullptr) {
    int64_t elements = 0, bytes = 0;
    if (CHECKED(mxl_encoding_block, entry.encoding, &elements, &bytes) != MXL_OK) return;
    in_dim = in_dim / bytes * elements;
  }
  if (in_dim > 4096 || out_dim > 4096) return;
  options.in_dim = in_dim;
  options.out_dim = out_dim;
  mxl_layer *layer = nullptr;
  if (CHECKED(mxl_linear_create, &options, &layer) != MXL_OK) return;
  if (CHECKED(mxl_layer_load_weights, layer, weights, name.substr(0, dot).c_str(), 0) == MXL_OK &&
      CHECKED(mxl_layer_prepare, layer, nullptr) == MXL_OK) {
    std::vector<float> x(static_cast<size_t>(in_dim), 1), y(static_cast<size_t>(out_dim));
    mxl_tensor from = {x.data(), MXL_FLOAT32, 1, {}, &in_dim, nullptr};
    mxl_tensor to = {y.data(), MXL_FLOAT32, 1, {}, &out_dim, nullptr};
    EXPECT(CHECKED(mxl_layer_forward, layer, nullptr, &from, &to) == MXL_OK);
  }
  mxl_layer_destroy(layer);
}

// What a matrix's width may be by its tensor: the columns, those of its blocks, or the rows of packed words of 2 to 8 bits a weight.
inline std::vector<int64_t> widths(const mxl_entry &entry) {
  std::vector<int64_t> found;
  int64_t elements = 0, bytes = 0;
  if (entry.tensor.rank != 2) return found;
  int64_t rows = entry.tensor.shape[0], columns = entry.tensor.shape[1];
  if (entry.encoding != nullptr && CHECKED(mxl_encoding_block, entry.encoding, &elements, &bytes) == MXL_OK)
    found.push_back(columns / bytes * elements);
  found.push_back(columns);
  for (int64_t bits : {32, 4, 8, 3, 2})
    if (rows <= 512) found.push_back(rows * 32 / bits);
  std::erase_if(found, [](int64_t width) { return width < 1 || width > 512; });
  return found;
}

// The checkpoint's first gated MLP, run on one row where it is small.
inline void run_mlp(const mxl_weights *weights) {
  mxl_layer *layer = nullptr;
  if (CHECKED(mxl_mlp_create_from_weights, weights, 0, nullptr, &layer) != MXL_OK) return;
  mxl_entry gate = {};
  EXPECT(CHECKED(mxl_layer_entry, layer, 0, &gate) == MXL_OK);
  std::vector<int64_t> fitting = widths(gate);
  if (gate.release != nullptr) gate.release(gate.owner);
  if (CHECKED(mxl_layer_prepare, layer, nullptr) == MXL_OK) {
    for (int64_t width : fitting) {
      std::vector<float> x(static_cast<size_t>(width), 1), y(static_cast<size_t>(width));
      mxl_tensor from = {x.data(), MXL_FLOAT32, 1, {}, &width, nullptr};
      mxl_tensor to = {y.data(), MXL_FLOAT32, 1, {}, &width, nullptr};
      if (CHECKED(mxl_layer_forward, layer, nullptr, &from, &to) == MXL_OK) break;
    }
  }
  mxl_layer_destroy(layer);
}

inline mxl_weights *open_weights(const std::string &path) {
  const char *paths[] = {path.c_str()};
  auto *const untouched = reinterpret_cast<mxl_weights *>(8);
  mxl_weights *weights = untouched;
  if (CHECKED(mxl_weights_open, paths, 1, &weights) == MXL_OK) return weights;
  EXPECT(weights == untouched);
  return nullptr;
}

// Opens the file and asks it everything.
inline void explore(const std::string &path) {
  mxl_weights *weights = open_weights(path);
  if (weights == nullptr) return;
  size_t count = 0;
  uint64_t mapped = 0, resident = 0;
  EXPECT(CHECKED(mxl_weights_count, weights, &count) == MXL_OK);
  EXPECT(CHECKED(mxl_weights_memory, weights, &mapped, &resident) == MXL_OK);
  EXPECT(resident <= mapped);
  uint64_t bytes = 0;
  for (size_t i = 0; i < count; i++) {
    mxl_entry entry = {}, found = {};
    EXPECT(CHECKED(mxl_weights_entry, weights, i, &entry) == MXL_OK);
    bytes += read_entry(entry);
    EXPECT(CHECKED(mxl_weights_find, weights, entry.name, &found) == MXL_OK);
    EXPECT(found.tensor.data == entry.tensor.data && std::strcmp(found.name, entry.name) == 0);
    if (i < 8) run_linear(weights, entry);
  }
  EXPECT(bytes <= mapped);
  mxl_entry entry = {};
  EXPECT(CHECKED(mxl_weights_entry, weights, count, &entry) == MXL_INVALID_ARGUMENT);
  if (count > 0) run_mlp(weights);
  mxl_weights_destroy(weights);
}

}  // namespace fuzz

#endif
