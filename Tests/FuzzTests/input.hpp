// What every fuzzer shares: numbers, texts and structs decoded from the bytes that libFuzzer hands over, and how a finding is reported.
#ifndef FUZZ_INPUT_HPP
#define FUZZ_INPUT_HPP

#include <maxlinear.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace fuzz {

// A broken promise is a finding as a crash is: libFuzzer keeps the input.
inline void expect(bool holds, const char *what, const char *file, int line, const char *detail = "") {
  if (holds) return;
  std::fprintf(stderr, "%s:%d: does not hold: %s %s\n", file, line, what, detail);
  std::abort();
}
#define EXPECT(...) fuzz::expect((__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

// The bytes from front to back; zeros once they are used up.
class input {
 public:
  input(const uint8_t *data, size_t size) : at_(data), left_(size) {}

  size_t left() const { return left_; }

  void bytes(void *to, size_t count) {
    size_t taken = std::min(count, left_);
    if (taken > 0) std::memcpy(to, at_, taken);
    if (count > taken) std::memset(static_cast<uint8_t *>(to) + taken, 0, count - taken);
    at_ += taken;
    left_ -= taken;
  }

  template <class Number>
  Number number() {
    Number value;
    bytes(&value, sizeof value);
    return value;
  }

  // 0 to limit - 1.
  size_t below(size_t limit) { return limit <= 1 ? 0 : number<uint16_t>() % limit; }
  bool flag() { return number<uint8_t>() & 1; }

  template <class Value, size_t Count>
  Value one_of(const Value (&choices)[Count]) {
    return choices[number<uint8_t>() % Count];
  }

  // Up to `most` bytes, as a text without NUL.
  std::string text(size_t most) {
    std::string made(std::min(number<uint8_t>() % (most + 1), left_), '\0');
    bytes(made.data(), made.size());
    return made.substr(0, made.find('\0'));
  }

  // Mostly small, sometimes any number: a dimension, a stride, a count.
  int64_t size(int64_t most) {
    uint8_t kind = number<uint8_t>();
    if (kind < 240) return static_cast<int64_t>(below(static_cast<size_t>(most) + 1));
    if (kind < 244) return -static_cast<int64_t>(below(static_cast<size_t>(most) + 1));
    if (kind < 250) return number<int64_t>();
    constexpr int64_t edges[] = {INT64_MIN, INT64_MIN + 1, INT64_MAX, INT64_MAX - 1, INT32_MAX, int64_t{1} << 62};
    return edges[kind % 6];
  }

  // An enumerator: mostly 0 to most, sometimes any number.
  int32_t enumerator(int32_t most) {
    uint8_t kind = number<uint8_t>();
    return kind < 250 ? kind % (most + 1) : number<int32_t>();
  }

  // A struct_size: mostly the right one.
  uint32_t struct_size(size_t right) {
    uint8_t kind = number<uint8_t>();
    return kind < 230 ? static_cast<uint32_t>(right) : kind < 245 ? kind - 230u : number<uint32_t>();
  }

  // `count` bytes of what is left, over and over where there are fewer.
  std::vector<uint8_t> repeated(size_t count) {
    std::vector<uint8_t> made(count);
    size_t known = std::min(count, left_);
    if (known > 0) std::memcpy(made.data(), at_, known);
    for (; known > 0 && known < count; known *= 2)
      std::memcpy(made.data() + known, made.data(), std::min(known, count - known));
    return made;
  }

 private:
  const uint8_t *at_;
  size_t left_;
};

// A failed call says why: a known status, and a message that ends.
inline mxl_status checked(mxl_status status, const mxl_error &error) {
  EXPECT(error.status == status);
  EXPECT(std::memchr(error.message, 0, sizeof error.message) != nullptr);
  if (status == MXL_OK) return status;
  EXPECT(std::strcmp(mxl_status_name(status), "MXL_UNKNOWN") != 0);
  EXPECT(error.message[0] != 0);
  fuzz::expect(status != MXL_INTERNAL, "the status is not MXL_INTERNAL:", __FILE__, __LINE__, error.message);
  return status;
}
#define CHECKED(function, ...)                                  \
  [&] {                                                         \
    mxl_error error = MXL_ERROR_INIT;                           \
    return fuzz::checked(function(__VA_ARGS__, &error), error); \
  }()

}  // namespace fuzz

// ASan's word on leaks comes when the process ends; what mxlk_allocate cannot have is an error, not a crash.
extern "C" inline __attribute__((used, visibility("default"))) const char *__asan_default_options() {
  return "allocator_may_return_null=1:detect_odr_violation=0:handle_segv=1:handle_sigill=1"
         // Short stacks of allocations and little freed memory kept back: a third faster.
         ":malloc_context_size=6:quarantine_size_mb=16";
}
extern "C" inline __attribute__((used, visibility("default"))) const char *__ubsan_default_options() {
  return "print_stacktrace=1:halt_on_error=1";
}

#endif
