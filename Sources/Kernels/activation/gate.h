/* h = act(gate) up, the epilogue of an MLP's first half. */
#ifndef MXLK_ACTIVATION_GATE_H
#define MXLK_ACTIVATION_GATE_H

#include "kernels.h"

/* hidden may be gate or up. features: MXL_CPU_* that may be used; the bits do not depend on them. */
void mxlk_gate(uint64_t features, int32_t activation, const float *gate, const float *up, int64_t count, float *hidden);

void mxlk_gate__avx2(int32_t activation, const float *gate, const float *up, int64_t count, float *hidden);
void mxlk_gate__avx512(int32_t activation, const float *gate, const float *up, int64_t count, float *hidden);

#endif
