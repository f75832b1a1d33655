/* Flushing denormals around bf16 dots, and back to the contract's rules. */
#ifndef MXLK_TILES_FLUSH_H
#define MXLK_TILES_FLUSH_H

#include "tiles/settle.h"

#include <stdint.h>

#ifdef __x86_64__
#include <xmmintrin.h>

/* Bits 15 and 6 of MXCSR: results to zero, inputs as zero. */
static inline uint32_t mxlk_flush_begin(void) {
  uint32_t before = _mm_getcsr();
  _mm_setcsr(before | 0x8040);
  return before;
}

static inline void mxlk_flush_end(uint32_t before) { _mm_setcsr(before); }

#elif defined(__aarch64__)

/* Bit 24 of FPCR flushes both. */
static inline uint64_t mxlk_flush_begin(void) {
  uint64_t before;
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" ::"r"(before | UINT64_C(1) << 24));
  return before;
}

static inline void mxlk_flush_end(uint64_t before) { __asm__ volatile("msr fpcr, %0" ::"r"(before)); }

#endif
#endif
