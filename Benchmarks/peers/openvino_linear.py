"""OpenVINO on CPU: f32, bf16 weights with float32 activations, and GPTQ as int4 or int8 weights of groups of 128 with int8 activations of the same groups."""

import numpy as np
import openvino
import openvino.opset13 as op

from serve import GROUP, bfloat16_bits, dense, generator, serve

random = generator()


def codes(case, shape):
    packed = random.integers(0, 256, int(np.prod(shape)) * case.bits // 8, dtype=np.uint8)
    kind = openvino.Type.u4 if case.bits == 4 else openvino.Type.u8
    return op.constant(openvino.Tensor(packed, openvino.Shape(list(shape)), kind), shared_memory=False)


def floats(case, shape):
    """A dense matrix, float32 to what multiplies by it."""
    values = dense(random, *shape)
    if case.encoding == "f32":
        return op.constant(values)
    narrow = openvino.Tensor(bfloat16_bits(values), openvino.Shape(list(shape)), openvino.Type.bf16)
    return op.convert(op.constant(narrow, shared_memory=False), np.float32)


def matrix(case, x, out_dim, in_dim):
    if case.encoding in ("f32", "bf16"):
        return op.matmul(x, floats(case, (out_dim, in_dim)), False, True)
    groups = in_dim // GROUP
    middle = op.constant(np.array(1 << (case.bits - 1), np.uint8))
    zeros = codes(case, (out_dim, groups, 1)) if case.is_asymmetric else middle
    centred = op.subtract(op.convert(codes(case, (out_dim, groups, GROUP)), np.float16), op.convert(zeros, np.float16))
    scaled = op.multiply(centred, op.constant(np.full((out_dim, groups, 1), 0.01, np.float16)))
    weight = op.convert(op.reshape(scaled, op.constant(np.array([out_dim, in_dim])), False), np.float32)
    if case.has_order:
        x = op.gather(x, op.constant(random.permutation(in_dim)), op.constant(np.array(1)))
    return op.matmul(x, weight, False, True)


def request(case):
    x = op.parameter([-1, case.in_dim], np.float32)
    if case.layer == "linear":
        y = matrix(case, x, *case.shapes[0])
    else:
        gate, up, down = case.shapes
        y = matrix(case, op.multiply(op.swish(matrix(case, x, *gate)), matrix(case, x, *up)), *down)
    options = {
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP,
        "INFERENCE_NUM_THREADS": case.threads,
        # Where the CPU has no bfloat16, it computes in float32 even so.
        "INFERENCE_PRECISION_HINT": "bf16" if case.encoding == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    return openvino.Core().compile_model(openvino.Model([y], [x]), "CPU", options).create_infer_request()


def build(case):
    requests = [request(case) for _ in range(case.copies)]

    def prepare(rows):
        x = dense(random, rows, case.in_dim) * 64
        return lambda copy: requests[copy].infer([x], share_inputs=True, share_outputs=True)

    return prepare


serve(f"OpenVINO {openvino.__version__.split('-')[0]}", build)
