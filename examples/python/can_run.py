"""Which encodings a linear layer of 384 inputs can have here: asked before there are weights."""

import maxlinear
from maxlinear.dtype import DType

answer = maxlinear.can_run(384, 1536, DType.uint8, quantization_encoding="Q4_K")
print(answer.kernel if answer else answer.message)
# weight: last dimension is 384, expected a multiple of Q4_K's 256; Q4_0, Q4_1, ... can hold such rows
answer = maxlinear.can_run(384, 1536, DType.uint8, quantization_encoding="Q8_0")
print(answer.kernel if answer else answer.message)
