"""What MAX computes, case by case, within the tolerances of Tests/Golden/README.md."""

import json
import os
from pathlib import Path

import pytest
from python_support import GOLDEN, read_safetensors, relative_error

from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationEncoding
from maxlinear.nn import MLP, MLPV2, Linear, LinearV2, QLinear

#: The cases of this repository, and of a folder of others, made with other seeds.
FOLDERS = [GOLDEN, *map(Path, filter(None, [os.environ.get("MAXLINEAR_TEST_GOLDEN")]))]
CASES = sorted(path for folder in FOLDERS for path in folder.rglob("*.safetensors"))


def layer_of(arguments, tensors):
    cls = arguments.pop("cls")
    encoding = arguments.pop("quantization_encoding", None)
    encoding = QuantizationEncoding(encoding) if encoding else None
    if cls in ("Linear", "QLinear", "MLP"):

        def linear(name):
            weight = tensors[name]
            return QLinear(weight, None, encoding) if encoding else Linear(weight)

        if cls == "MLP":
            return MLP(*(linear(f"{part}.weight") for part in ("gate_proj", "down_proj", "up_proj")))
        return linear("weight")
    arguments["dtype"] = DType[arguments["dtype"]]
    layer = {"LinearV2": LinearV2, "MLPV2": MLPV2}[cls](quantization_encoding=encoding, **arguments)
    layer.load_state_dict(tensors)
    return layer


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_golden(case):
    tensors, metadata = read_safetensors(case)
    arguments = json.loads(metadata["arguments"])
    x, y = tensors.pop("x"), tensors.pop("y")
    tolerance = 2e-6 if not arguments.get("quantization_encoding") else 6e-2 if "MLP" in arguments["cls"] else 1.5e-2
    assert relative_error(layer_of(arguments, tensors)(x), y) <= tolerance


def test_all_cases_are_there():
    assert len([case for case in CASES if case.parent == GOLDEN]) == 30
