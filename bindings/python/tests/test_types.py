"""What a type checker says of programs: names and attributes have their types, and names that are not there are mistakes."""

import os
import subprocess
import sys

import pytest
from python_support import ROOT

pytest.importorskip("mypy")

START = """
import numpy as np

from maxlinear.dtype import DType
from maxlinear.graph import DeviceRef, Weight
from maxlinear.graph.quantization import QuantizationEncoding
from maxlinear.nn.linear import MLP, MLPV2, ColumnParallelLinear, DistributedMLP, Linear, LinearV2, RowParallelLinear

w = np.zeros((4, 4), np.float32)
linear, v2 = Linear(w), LinearV2(4, 4, DType.float32)
mlp, column = MLPV2(DType.float32, None, 4, 4), ColumnParallelLinear(4, 4, DType.float32)
"""

RIGHT = """
linear.weight, linear.bias = w, w[0]
linear.bias = v2.bias = None
v2.weight, v2.bias, v2.weight_scale = [[1.0] * 4] * 4, w[0], None
weight: Weight = linear.weight
bias: Weight | None = v2.bias
mlp.devices = column.devices = [DeviceRef.CPU()]
mlp.quantization_encoding = column.quantization_encoding = "Q8_0"
encoding: QuantizationEncoding | None = mlp.quantization_encoding
devices: tuple[DeviceRef, ...] = column.devices
layers: list[type] = [MLP, DistributedMLP, RowParallelLinear]
"""

WRONG = {
    "from maxlinear.nn.linear import Nonsense": 'has no attribute "Nonsense"',
    "MLPV2(4, None, 4, 4)": 'Argument 1 to "MLPV2"',
    "number: int = LinearV2(4, 4, DType.float32).bias": "Incompatible types in assignment",
    "mlp.devices = 'cpu'": "Incompatible types in assignment",
}


def test_types(tmp_path):
    (tmp_path / "user.py").write_text(START + RIGHT + "\n".join(WRONG) + "\n")
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", ROOT / "build" / "mypy-bindings", "user.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT / "bindings" / "python" / "src")},
        check=False,
        capture_output=True,
        text=True,
    )
    first = (START + RIGHT).count("\n") + 1
    lines = result.stdout.splitlines()
    assert len(lines) == len(WRONG) + 1, result.stdout + result.stderr
    for line, (number, message) in zip(lines, enumerate(WRONG.values(), first), strict=False):
        assert line.startswith(f"user.py:{number}: error: ") and message in line
