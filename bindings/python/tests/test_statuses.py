"""Every status of mxl_status is caused from Python, and comes as the exception that fits."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
from python_support import write_safetensors

import maxlinear
from maxlinear._ffi import constants
from maxlinear._ffi.library import library
from maxlinear.dtype import DType
from maxlinear.graph import DeviceRef
from maxlinear.graph.quantization import QuantizationEncoding
from maxlinear.graph.weights import load_weights
from maxlinear.nn.distributed import ColumnParallelLinear
from maxlinear.nn.linear import LinearV2

W = np.arange(6, dtype=np.float32).reshape(2, 3)
ROW = np.ones(3, np.float32)


def loaded(out_dim=2):
    layer = LinearV2(3, out_dim, DType.float32)
    layer.load_state_dict({"weight": W})
    return layer


def prepared():
    layer = loaded()
    layer.prepare()
    return layer


def destroyed(folder):
    layer = prepared()
    library.mxl_layer_destroy(layer._handle)
    layer(ROW)


def junk(folder):
    (folder / "junk.gguf").write_bytes(b"junk")
    load_weights(folder / "junk.gguf")


def beyond_memory(folder):
    layer = LinearV2(4, 1 << 54, DType.float32)
    layer.load_state_dict({"weight": np.broadcast_to(np.float32(0), (1 << 54, 4))})


def missing_tensor(folder):
    weights = load_weights(write_safetensors(folder / "w.safetensors", {"other": W}))
    loaded().load_weights(weights, replace=True)


def ended(folder):
    root = Path(__file__).resolve().parents[3]
    source, plugin = root / "Tests" / "DistributedTests" / "memory.c", folder / "memory.so"
    subprocess.run(["gcc", "-shared", "-fPIC", f"-I{root / 'include'}", source, "-o", plugin], check=True)
    maxlinear.load_plugin(plugin)
    native = ctypes.create_string_buffer(f"{folder / 'shared'} 0 1".encode())
    communicator = maxlinear.Communicator("memory", ctypes.addressof(native))
    layer = ColumnParallelLinear(3, 2, DType.float32, communicator=communicator)
    layer.load_state_dict({"weight": W})
    communicator.abort("no more")
    layer(ROW)


CAUSES = {
    "MXL_INVALID_ARGUMENT": (ValueError, lambda folder: maxlinear.set_num_threads(0)),
    "MXL_INVALID_SHAPE": (ValueError, lambda folder: loaded()(np.ones(4, np.float32))),
    "MXL_INVALID_DTYPE": (TypeError, lambda folder: loaded()(np.ones(3, np.int32))),
    "MXL_INVALID_HANDLE": (ValueError, destroyed),
    "MXL_MISSING_KEY": (KeyError, missing_tensor),
    "MXL_UNEXPECTED_KEY": (KeyError, lambda folder: loaded().load_state_dict({"weight": W, "other": W})),
    "MXL_NOT_LOADED": (RuntimeError, lambda folder: LinearV2(3, 2, DType.float32).prepare()),
    "MXL_NOT_PREPARED": (RuntimeError, lambda folder: loaded().kernel),
    "MXL_ALREADY_PREPARED": (RuntimeError, lambda folder: prepared().load_state_dict({"weight": W})),
    "MXL_UNSUPPORTED": (ValueError, lambda folder: QuantizationEncoding("Q9").block_size),
    "MXL_NO_DEVICE": (ValueError, lambda folder: LinearV2(3, 2, DType.float32, DeviceRef.GPU())),
    "MXL_IO": (OSError, lambda folder: load_weights(folder / "missing.gguf")),
    "MXL_INVALID_FILE": (ValueError, junk),
    "MXL_COMMUNICATION": (ConnectionError, ended),
    "MXL_OUT_OF_MEMORY": (MemoryError, beyond_memory),
}


def test_every_status_is_here():
    values = [value for name, value in vars(constants).items() if name.startswith("MXL_")]
    known = {library.mxl_status_name(value).decode() for value in {*values, *range(1001)}}
    assert known - {"MXL_UNKNOWN"} == {*CAUSES, "MXL_OK", "MXL_INTERNAL"}


@pytest.mark.parametrize("status", CAUSES)
def test_status(status, tmp_path):
    kind, cause = CAUSES[status]
    with pytest.raises(kind) as caught:
        cause(tmp_path)
    assert isinstance(caught.value, maxlinear.Error) and caught.value.status == status


def test_ok():
    maxlinear.set_num_threads(maxlinear.num_threads())


def test_internal(monkeypatch):
    """No call may cause it, so one is made up."""

    def defect(threads, error):
        error.status = constants.MXL_INTERNAL
        error.message = b"threads: is a defect, expected none"
        return constants.MXL_INTERNAL

    monkeypatch.setattr(library, "mxl_set_threads", defect)
    with pytest.raises(maxlinear.Error) as caught:
        maxlinear.set_num_threads(1)
    assert type(caught.value) is maxlinear.Error and caught.value.status == "MXL_INTERNAL"
