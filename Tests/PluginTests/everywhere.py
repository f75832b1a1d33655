"""Everything that takes an encoding, with that of the plugin at the path given, LOG6: prints what came of it, as JSON, with a digest of all
bits."""

import hashlib
import json
import sys

import ml_dtypes
import numpy as np

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph import DeviceRef
from maxlinear.graph.quantization import QuantizationEncoding
from maxlinear.nn.distributed import DistributedMLP
from maxlinear.nn.linear import LinearV2, QLinear
from maxlinear.nn.mlp import MLPV2

maxlinear.load_plugin(sys.argv[1])
LOG6 = QuantizationEncoding("LOG6")
random = np.random.default_rng(5)
result, digest = {}, hashlib.sha256()


def array(value):
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def blocks(*shape):
    return maxlinear.quantize(random.standard_normal(shape).astype(np.float32) / 8, LOG6)


def product(x, blocks):
    return x.astype(np.float64) @ maxlinear.dequantize(blocks, LOG6).astype(np.float64).T


def error(y, expected):
    return float(np.linalg.norm(y - expected) / np.linalg.norm(expected))


values = random.standard_normal((7, 2, 96)).astype(np.float32)
encoded = maxlinear.quantize(values, "LOG6")
result["block"] = [LOG6.elements_per_block, LOG6.block_size, LOG6.is_gguf]
result["shape"] = list(encoded.shape)
result["round trip"] = error(maxlinear.dequantize(encoded, "LOG6"), values)

for inputs, outputs in ((32, 1), (96, 17), (256, 16), (800, 100)):
    weight = blocks(outputs, inputs)
    bias = random.standard_normal(outputs).astype(np.float32)
    for rows in (1, 2, 3, 5, 40):
        x = random.standard_normal((rows, inputs)).astype(np.float32)
        y = QLinear(weight, bias, LOG6)(x)
        assert error(y, product(x, weight) + bias) < 6e-7, (inputs, outputs, rows)
        single = np.stack([QLinear(weight, bias, LOG6)(row) for row in x])
        assert (single == y).all()
        digest.update(y.tobytes())
layer = LinearV2(800, 100, DType.uint8, quantization_encoding=LOG6)
layer.load_state_dict({"weight": weight})
assert (array(layer.state_dict()["weight"]) == weight).all()
digest.update(layer(x).tobytes())
for odd in (np.float16, ml_dtypes.bfloat16):
    digest.update(layer(x.astype(odd)).tobytes())
any_bytes = random.integers(0, 256, weight.shape, np.uint8)
layer = QLinear(any_bytes, None, LOG6)
y = layer(x)
assert (array(layer.state_dict()["weight"]) == any_bytes).all()
digest.update(np.isnan(y).tobytes() + np.where(np.isnan(y), np.float32(0), y).tobytes())

state = {
    f"{name}.weight": blocks(*shape)
    for name, shape in (("gate_proj", (512, 256)), ("down_proj", (256, 512)), ("up_proj", (512, 256)))
}
x = random.standard_normal((9, 256)).astype(np.float32)
mlp = MLPV2(DType.uint8, LOG6, 256, 512)
mlp.load_state_dict(state)
y = mlp(x)
gate, up = (QLinear(state[f"{name}_proj.weight"], None, LOG6)(x) for name in ("gate", "up"))
hidden = gate.astype(np.float64) / (1 + np.exp(-gate.astype(np.float64))) * up
result["mlp"] = error(y, product(hidden, state["down_proj.weight"]))
digest.update(y.tobytes())
devices = [DeviceRef.CPU(0), DeviceRef.CPU(1)]
distributed = DistributedMLP(DType.uint8, LOG6, 256, 512, devices=devices)
distributed.load_state_dict(state)
assert all((part == y).all() for part in distributed([x, x]))
result["digest"] = digest.hexdigest()
print(json.dumps(result))
