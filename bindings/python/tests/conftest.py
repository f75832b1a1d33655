import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

import maxlinear.errors

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "Tests" / "Golden"

sys.path.insert(0, str(ROOT / "Tests"))
from messages import has_three_parts


@pytest.fixture(autouse=True)
def messages(monkeypatch):
    """All messages of the library during a test, which must name the argument, what came and what was expected."""
    found = []
    before = maxlinear.errors.Error.__init__

    def collected(self, status, message):
        # A test may make an error of its own.
        if sys._getframe(1).f_globals["__name__"].startswith("maxlinear."):
            found.append(message)
        before(self, status, message)

    monkeypatch.setattr(maxlinear.errors.Error, "__init__", collected)
    yield found
    assert [message for message in found if not has_three_parts(message)] == []


def read_safetensors(path):
    """Tensors and metadata of a golden file, read without the library."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    names = {"F32": np.float32, "U8": np.uint8, "F16": np.float16}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(data[8 + length + begin : 8 + length + end], names[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors, metadata


def write_safetensors(path, tensors):
    """float32 arrays as a safetensors file."""
    header, data = {}, b""
    for name, array in tensors.items():
        encoded = np.ascontiguousarray(array, np.float32).tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(encoded)],
        }
        data += encoded
    text = json.dumps(header).encode()
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def relative_error(got, expected):
    return np.linalg.norm(got.astype(np.float64) - expected) / np.linalg.norm(expected.astype(np.float64))


@pytest.fixture
def random():
    return np.random.default_rng(7)
