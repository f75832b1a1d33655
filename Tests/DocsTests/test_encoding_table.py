"""The table of docs/CHOOSE_ENCODING.md says what the library does and what the tables of docs/PERFORMANCE.md say."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationEncoding

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Benchmarks"))

from encodings_plot import draw, table

ROWS = {row["encoding"]: row for row in table()}
BLOCKS = {encoding.name: encoding for encoding in QuantizationEncoding.all() if encoding.is_gguf}
FLOATS = {"F32": DType.float32, "F16": DType.float16, "BF16": DType.bfloat16}
FLOAT8 = {"F8_E4M3": DType.float8_e4m3fn, "F8_E5M2": DType.float8_e5m2}


def test_every_encoding_is_there():
    assert set(ROWS) == {*BLOCKS, *FLOATS, *FLOAT8}


@pytest.mark.parametrize("name", BLOCKS)
def test_bits(name):
    block = BLOCKS[name].block_parameters
    assert int(ROWS[name]["weights a block"]) == block.elements_per_block
    assert float(ROWS[name]["bits a weight"]) == 8 * block.block_size / block.elements_per_block


@pytest.mark.parametrize("name", ROWS)
def test_error(name):
    values = np.random.default_rng(0).standard_normal((256, 4096)).astype(np.float32)
    if name in FLOATS:
        again = values.astype(FLOATS[name].to_numpy()).astype(np.float32)
    elif name in FLOAT8:
        state = maxlinear.quantize_float8(values, FLOAT8[name])
        again = maxlinear.dequantize_float8(state["weight"], state["weight_scale"])
    else:
        again = maxlinear.dequantize(maxlinear.quantize(values, name))
    assert np.sqrt(np.mean((again - values) ** 2)) == pytest.approx(float(ROWS[name]["error"]), rel=0.05)


def speeds():
    """M=1, 32 and 512 of each encoding, of the two tables of one machine."""
    performance = (ROOT / "docs/PERFORMANCE.md").read_text()
    found = {}
    section = performance.split("### A Xeon without AMX")[1].split("\n### ")[0]
    heads = re.search(r"^\| layer \| encoding \|(.*)\|$", section, re.MULTILINE)[1].split("|")
    for name, line in re.findall(r"^\| linear \| (\w+) \|(.*)\|$", section, re.MULTILINE):
        cells = dict(zip((head.strip() for head in heads), line.split("|"), strict=True))
        figures = [cells[rows].split()[0] for rows in ("M=1", "M=32", "M=512")]
        found[name.upper() if name in ("f32", "bf16") else name] = figures
    section = performance.split("## Every block encoding beside ggml")[1].split("\n## ")[0]
    for name, *cells in re.findall(r"^\| (\w+) \| (\d+) \(.*?\) \| (\d+) \(.*?\) \| (\d+) \(", section, re.MULTILINE):
        found[name] = cells
    return found


def test_speed():
    tables = speeds()
    for name, row in ROWS.items():
        assert [row["M=1"], row["M=32"], row["M=512"]] == tables.get(name, ["-"] * 3), name


def test_plot(tmp_path):
    draw(tmp_path / "encodings.png")
    assert (tmp_path / "encodings.png").read_bytes().startswith(b"\x89PNG")
