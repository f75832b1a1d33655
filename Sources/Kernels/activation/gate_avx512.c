#include "activation/gate.h"

#ifdef __x86_64__
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

#include "activation/gate_loop.h"

void mxlk_gate__avx512(int32_t activation, const float *gate, const float *up, int64_t count, float *hidden) {
  gate_by_activation(activation, gate, up, count, hidden);
}

#pragma clang attribute pop
#endif
