/* The loop of gate.c, gate_avx2.c and gate_avx512.c, included under each one's target attribute. */
#ifndef MXLK_ACTIVATION_GATE_LOOP_H
#define MXLK_ACTIVATION_GATE_LOOP_H

#include "activation/functions.h"
#include "activation/gate.h"

MXLK_FUNCTION void gate_with(const int activation, const float *gate, const float *up, int64_t count, float *hidden) {
  for (int64_t i = 0; i < count; i++) hidden[i] = mxlk_activated(activation, gate[i]) * up[i];
}

MXLK_FUNCTION void gate_by_activation(int32_t activation, const float *gate, const float *up, int64_t count,
                                      float *hidden) {
  switch (activation) {
    case MXL_ACTIVATION_SILU: gate_with(MXL_ACTIVATION_SILU, gate, up, count, hidden); break;
    case MXL_ACTIVATION_GELU: gate_with(MXL_ACTIVATION_GELU, gate, up, count, hidden); break;
    case MXL_ACTIVATION_GELU_TANH: gate_with(MXL_ACTIVATION_GELU_TANH, gate, up, count, hidden); break;
    case MXL_ACTIVATION_RELU: gate_with(MXL_ACTIVATION_RELU, gate, up, count, hidden); break;
    case MXL_ACTIVATION_TANH: gate_with(MXL_ACTIVATION_TANH, gate, up, count, hidden); break;
    default: gate_with(MXL_ACTIVATION_SIGMOID, gate, up, count, hidden); break;
  }
}

#endif
