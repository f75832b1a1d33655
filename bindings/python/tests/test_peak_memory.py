"""The most memory that loading and preparing take: what is packed, and one tensor of the checkpoint beside it."""

import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from gptq_format import tensors as gptq_tensors
from test_gguf import write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MIB = 1 << 20

#: Beside the tensors: pages of the allocator, code that runs for the first time, what a mapping reads ahead, scales of GPTQ.
SLACK = 12 * MIB

CHILD = """
import sys
from pathlib import Path
import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationConfig, QuantizationEncoding
from maxlinear.graph.weights import load_weights
from maxlinear.nn import GPTQLinearV2, LinearV2, MLPV2

def status(name):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024

path, kind, encoding, in_dim, out_dim = sys.argv[1:4] + [int(value) for value in sys.argv[4:]]
weights = load_weights(path)
config = QuantizationConfig("gptq", 4, 128, True, False) if encoding == "GPTQ" else None
Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
before = status("VmRSS")
if kind == "mlp":
    layer = MLPV2.from_weights(weights, layer=0, **({"quantization_config": config} if config else {}))
elif config:
    layer = GPTQLinearV2(in_dim, out_dim, DType.float32, quantization_config=config)
    layer.load_state_dict({name.rsplit(".", 1)[1]: entry.data() for name, entry in weights.items()})
else:
    own = None if encoding == "F32" else QuantizationEncoding(encoding)
    layer = LinearV2(in_dim, out_dim, DType.float32 if own is None else DType.uint8, quantization_encoding=own)
    layer.load_state_dict({"weight": next(entry for _, entry in weights.items())})
layer.prepare()
memory = layer.memory()
print(status("VmHWM") - before, memory["packed"])
"""


def some(shape, dtype):
    """Any bits but those of NaN, quickly."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    part = np.random.default_rng(1).integers(0, 120, MIB, np.uint8).tobytes()
    return np.frombuffer((part * (count // MIB + 1))[:count], dtype).reshape(shape)


def peak(path, kind, encoding, in_dim=0, out_dim=0):
    arguments = [str(value) for value in (path, kind, encoding, in_dim, out_dim)]
    result = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return (int(value) for value in result.stdout.split())


def check(most, packed, tensor):
    """The tensor counts, and is not small beside the slack."""
    assert tensor > 4 * SLACK and packed >= tensor
    assert packed <= most <= packed + tensor + SLACK


#: Shapes of gate and up (out_dim, in_dim) and the tensors' bytes.
GGUF_SHAPES = {"Q4_K": ((28672, 4096), 2304), "Q8_0": ((14336, 4096), 4352), "Q6_K": ((20480, 4096), 3360)}


@pytest.mark.parametrize("encoding", ["Q4_K", "Q8_0", "Q6_K"])
def test_gguf_linear(tmp_path, encoding):
    (out_dim, in_dim), row = GGUF_SHAPES[encoding]
    path = write(tmp_path / "a.gguf", {"a.weight": (some((out_dim, row), np.uint8), encoding)})
    most, packed = peak(path, "linear", encoding, in_dim, out_dim)
    check(most, packed, out_dim * row)


def test_gguf_mlp(tmp_path):
    (wide, narrow), row = GGUF_SHAPES["Q4_K"]
    gate = (some((wide, row), np.uint8), "Q4_K")
    down = (some((narrow, wide // 256 * 144), np.uint8), "Q4_K")
    path = write(
        tmp_path / "a.gguf", {"blk.0.ffn_gate.weight": gate, "blk.0.ffn_down.weight": down, "blk.0.ffn_up.weight": gate}
    )
    most, packed = peak(path, "mlp", "Q4_K")
    check(most, packed, wide * row)


def test_safetensors_linear(tmp_path):
    safetensors.numpy.save_file({"weight": some((4096, 4096), np.float32)}, tmp_path / "a.safetensors")
    most, packed = peak(tmp_path / "a.safetensors", "linear", "F32", 4096, 4096)
    check(most, packed, 64 * MIB)


def test_safetensors_mlp(tmp_path):
    gate, down = some((8192, 2048), np.float32), some((2048, 8192), np.float32)
    names = {"gate_proj": gate, "down_proj": down, "up_proj": gate}
    state = {f"model.layers.0.mlp.{name}.weight": value for name, value in names.items()}
    safetensors.numpy.save_file(state, tmp_path / "a.safetensors")
    most, packed = peak(tmp_path / "a.safetensors", "mlp", "F32")
    check(most, packed, 64 * MIB)


def gptq(in_dim, out_dim):
    """Random order and scales, codes quickly."""
    state = gptq_tensors(np.random.default_rng(2), in_dim, 8, 128, act_order=True)
    groups = in_dim // 128
    return {
        "qweight": some((in_dim // 8, out_dim), np.int32),
        "qzeros": some((groups, out_dim // 8), np.int32),
        "scales": some((groups, out_dim), np.float16),
        "g_idx": state["g_idx"],
    }


def test_gptq_linear(tmp_path):
    safetensors.numpy.save_file(
        {f"a.{name}": value for name, value in gptq(4096, 28672).items()}, tmp_path / "a.safetensors"
    )
    most, packed = peak(tmp_path / "a.safetensors", "linear", "GPTQ", 4096, 28672)
    check(most, packed, 4096 * 28672 // 2)


def test_gptq_mlp(tmp_path):
    state = {}
    for part, shape in {"gate_proj": (4096, 28672), "down_proj": (28672, 4096), "up_proj": (4096, 28672)}.items():
        state |= {f"model.layers.0.mlp.{part}.{name}": value for name, value in gptq(*shape).items()}
    safetensors.numpy.save_file(state, tmp_path / "a.safetensors")
    most, packed = peak(tmp_path / "a.safetensors", "mlp", "GPTQ")
    check(most, packed, 4096 * 28672 // 2)
