#include "activation/gate_loop.h"

void mxlk_gate(uint64_t features, int32_t activation, const float *gate, const float *up, int64_t count,
               float *hidden) {
#ifdef __x86_64__
  if (features & MXL_CPU_AVX512) {
    mxlk_gate__avx512(activation, gate, up, count, hidden);
    return;
  }
  if (features & MXL_CPU_AVX2) {
    mxlk_gate__avx2(activation, gate, up, count, hidden);
    return;
  }
#endif
  (void)features;
  gate_by_activation(activation, gate, up, count, hidden);
}
