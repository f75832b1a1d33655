/* The caller's floating point environment, entered for the length of a call. */
#ifndef CHECK_ENVIRONMENT_H
#define CHECK_ENVIRONMENT_H

#include "kernel_checks.h"

#if defined(__x86_64__)
static inline uint32_t control_of(check_environment environment) {
  switch (environment) {
    case CHECK_FLUSH: return 0x1F80u | 0x8040u;
    case CHECK_ROUND_UP: return 0x1F80u | 0x4000u;
    case CHECK_UNMASKED: return 0;
    default: return 0x1F80u;
  }
}
static inline uint64_t enter(check_environment environment) {
  uint64_t before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(control_of(environment));
  return before;
}
/* True when the environment is still the one entered. */
static inline int leave(check_environment environment, uint64_t before) {
  uint32_t now = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr((uint32_t)before);
  return now == control_of(environment);
}
#elif defined(__aarch64__)
static inline uint64_t control_of(check_environment environment) {
  switch (environment) {
    case CHECK_FLUSH: return 1ull << 24;
    case CHECK_ROUND_UP: return 1ull << 22;
    default: return 0; /* few of these CPUs can trap */
  }
}
static inline uint64_t enter(check_environment environment) {
  uint64_t before;
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" : : "r"(control_of(environment)));
  return before;
}
static inline int leave(check_environment environment, uint64_t before) {
  uint64_t now;
  __asm__ volatile("mrs %0, fpcr" : "=r"(now));
  __asm__ volatile("msr fpcr, %0" : : "r"(before));
  return now == control_of(environment);
}
#else
static inline uint64_t enter(check_environment environment) { return (uint64_t)environment; }
static inline int leave(check_environment environment, uint64_t before) { return before == (uint64_t)environment; }
#endif

#endif
