/* CPU features: what CPUID reports and the operating system has enabled (XGETBV), lowered by MAXLINEAR_ISA. */
#define _GNU_SOURCE
#include "kernels.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define MXLK_X86 1
#endif

#define AVX512 (MXL_CPU_AVX2 | MXL_CPU_AVX_VNNI | MXL_CPU_AVX512)
#define AVX512_VNNI (AVX512 | MXL_CPU_AVX512_VNNI)

static const mxlk_isa isas[] = {
    {"scalar", 0},
    {"avx2", MXL_CPU_AVX2},
    {"avxvnni", MXL_CPU_AVX2 | MXL_CPU_AVX_VNNI},
    {"avx512", AVX512},
    {"avx512vnni", AVX512_VNNI},
    {"avx512bf16", AVX512_VNNI | MXL_CPU_AVX512_BF16},
    {"amx", AVX512_VNNI | MXL_CPU_AVX512_BF16 | MXL_CPU_AMX_INT8 | MXL_CPU_AMX_BF16},
};

static const char *const feature_names[] = {"avx2",       "avx512",   "avxvnni",  "avx512vnni",
                                            "avx512bf16", "amx-int8", "amx-bf16", "shared-ports"};

#ifdef MXLK_X86
/* XCR0: which register files the operating system saves. */
static uint64_t enabled_state(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return ((uint64_t)high << 32) | low;
}

static int bit(uint32_t word, int index) { return (word >> index) & 1; }

/* Whether this process may use AMX's tiles: Linux gives them to those that ask, for all their threads and those of their children. */
static int may_use_tiles(void) {
#if defined(__linux__) && defined(__x86_64__)
  enum { request_permission = 0x1023, tile_data = 18 };
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return 0;
#endif
}

static int made_by_intel(void) {
  uint32_t highest, name[3];
  return __get_cpuid(0, &highest, &name[0], &name[2], &name[1]) && memcmp(name, "GenuineIntel", sizeof name) == 0;
}

static uint64_t detect(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  int fma = bit(c, 12), osxsave = bit(c, 27), avx = bit(c, 28), f16c = bit(c, 29);
  if (!osxsave) return 0;
  uint64_t state = enabled_state();
  int ymm = (state & 0x6) == 0x6;
  int zmm = (state & 0xe6) == 0xe6;
  int tiles = (state & 0x60000) == 0x60000;
  uint32_t a7, b7, c7, d7, a71 = 0;
  if (!__get_cpuid_count(7, 0, &a7, &b7, &c7, &d7)) return 0;
  if (a7 >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) a71 = a;

  uint64_t features = 0;
  if (!(ymm && avx && fma && f16c && bit(b7, 5))) return 0;
  features |= MXL_CPU_AVX2;
  if (bit(a71, 4)) features |= MXL_CPU_AVX_VNNI;
  if (!(zmm && bit(b7, 16) && bit(b7, 17) && bit(b7, 30) && bit(b7, 31))) return features;
  features |= MXL_CPU_AVX512;
  if (made_by_intel()) features |= MXL_CPU_AVX512_SHARED_PORTS;
  if (bit(c7, 11)) features |= MXL_CPU_AVX512_VNNI;
  if (bit(a71, 5)) features |= MXL_CPU_AVX512_BF16;
  if (!(tiles && bit(d7, 24) && may_use_tiles())) return features;
  if (bit(d7, 25)) features |= MXL_CPU_AMX_INT8;
  if (bit(d7, 22)) features |= MXL_CPU_AMX_BF16;
  return features;
}

static void read_model(char model[49]) {
  uint32_t words[12] = {0};
  if (__get_cpuid_max(0x80000000u, NULL) >= 0x80000004u) {
    for (uint32_t leaf = 0; leaf < 3; leaf++) {
      uint32_t *w = words + 4 * leaf;
      __get_cpuid(0x80000002u + leaf, &w[0], &w[1], &w[2], &w[3]);
    }
  }
  char text[49] = {0};
  memcpy(text, words, 48);
  const char *begin = text;
  while (*begin == ' ') begin++;
  size_t length = strlen(begin);
  while (length > 0 && begin[length - 1] == ' ') length--;
  memcpy(model, begin, length);
  model[length] = 0;
}
#else
static uint64_t detect(void) { return 0; }
static void read_model(char model[49]) { model[0] = 0; }
#endif

/* Found once. Threads that come at the same time find the same values, so the last writer does no harm. */
static _Atomic uint64_t known_features;
static _Atomic int features_known;
#define FEATURES_UNKNOWN 0
#define FEATURES_KNOWN 1

uint64_t mxlk_cpu_features(void) {
  if (atomic_load_explicit(&features_known, memory_order_acquire) == FEATURES_KNOWN)
    return atomic_load_explicit(&known_features, memory_order_relaxed);
  uint64_t features = detect();
  atomic_store_explicit(&known_features, features, memory_order_relaxed);
  atomic_store_explicit(&features_known, FEATURES_KNOWN, memory_order_release);
  return features;
}

const char *mxlk_cpu_feature_name(uint32_t index) {
  return index < sizeof feature_names / sizeof *feature_names ? feature_names[index] : NULL;
}

static _Atomic int64_t known_level_two;

int64_t mxlk_level_two_bytes(void) {
  int64_t bytes = atomic_load_explicit(&known_level_two, memory_order_relaxed);
  if (bytes != 0) return bytes;
#ifdef _SC_LEVEL2_CACHE_SIZE
  bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
  if (bytes <= 0) bytes = 512 << 10;
  atomic_store_explicit(&known_level_two, bytes, memory_order_relaxed);
  return bytes;
}

static char model_text[49];

static void read_model_text(void) { read_model(model_text); }

const char *mxlk_cpu_model(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, read_model_text);
  return model_text;
}

size_t mxlk_isa_count(void) { return sizeof isas / sizeof *isas; }

const mxlk_isa *mxlk_isa_at(size_t index) { return index < mxlk_isa_count() ? &isas[index] : NULL; }

int mxlk_allowed_features(uint64_t *features) {
  *features = mxlk_cpu_features();
  const char *wanted = getenv("MAXLINEAR_ISA");
  if (wanted == NULL || *wanted == 0) return 1;
  for (size_t i = 0; i < mxlk_isa_count(); i++) {
    if (strcmp(wanted, isas[i].name) == 0) {
      /* How a CPU runs AVX-512 is no choice. */
      uint64_t trait = isas[i].features & MXL_CPU_AVX512 ? MXL_CPU_AVX512_SHARED_PORTS : 0;
      *features &= isas[i].features | trait;
      return 1;
    }
  }
  return 0;
}
