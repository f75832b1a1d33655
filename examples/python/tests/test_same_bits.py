"""One MLP from four languages: the example as a user runs it, on a file of one's own."""

import re
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np

ROOT = Path(__file__).resolve().parents[3]


def example(*arguments):
    command = [sys.executable, str(ROOT / "examples" / "python" / "same_bits"), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=900)


def test_a_file_of_ones_own(tmp_path):
    """An encoding each, float16 among them, in layer 3."""
    random = np.random.default_rng(5)
    writer = gguf.GGUFWriter(tmp_path / "own.gguf", "llama")
    for name, shape in (("gate", (512, 256)), ("down", (256, 512)), ("up", (512, 256))):
        writer.add_tensor(f"blk.3.ffn_{name}.weight", random.standard_normal(shape).astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    result = example("--model", tmp_path / "own.gguf", "--layer", 3)
    assert result.returncode == 0, result.stdout + result.stderr
    runs = re.findall(r"^(C|C\+\+|Swift|Python) +([-124]) +([12]) +(\w+) ", result.stdout, re.MULTILINE)
    assert len(runs) == 4 * (4 + 3) and {language for language, *_ in runs} == {"C", "C++", "Swift", "Python"}
    assert {devices for _, devices, *_ in runs} == {"-", "1", "2", "4"}
    assert {threads for *_, threads, _ in runs} == {"1", "2"} and "scalar" in {isa for *_, isa in runs}
    assert re.search(r"^all give [0-9a-f]{64}$", result.stdout, re.MULTILINE)


def test_a_file_that_is_none(tmp_path):
    result = example("--model", tmp_path / "none.gguf")
    assert result.returncode == 1 and "none.gguf" in result.stderr and "Traceback" not in result.stderr


def test_checkpoints_of_its_own():
    """Q4_K in GGUF and GPTQ in safetensors, each in 28 ways."""
    result = example()
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(re.findall(r"^(C|C\+\+|Swift|Python) +[-124] ", result.stdout, re.MULTILINE)) == 2 * 28
    assert len(set(re.findall(r"^all give ([0-9a-f]{64})$", result.stdout, re.MULTILINE))) == 2
