"""MAXLINEAR_VERBOSE: what a process prints on standard error, line by line."""

import os
import re
import subprocess
import sys

import pytest

LINE = re.compile(
    r"maxlinear: (?P<operation>\w+) (?P<kernel>[\w,]+)(?: M=(?P<M>\d+))? K=(?P<K>\d+)(?: N=(?P<N>\d+))? "
    r"threads=(?P<threads>\d+) us=(?P<us>\d+\.\d{3})"
)

#: One of each kind of work.
CALLS = """
import numpy as np
import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationConfig, QuantizationEncoding
from maxlinear.nn import GPTQLinearV2, LinearV2, MLPV2, forward_together

random = np.random.default_rng(0)
weight = random.standard_normal((40, 256), np.float32)
x = random.standard_normal((3, 256), np.float32)
blocks = maxlinear.quantize(weight, "Q4_K")
maxlinear.dequantize(blocks, "Q4_K")
layer = LinearV2(256, 40, DType.uint8, quantization_encoding=QuantizationEncoding.Q4_K)
layer.load_state_dict({"weight": blocks})
layer(x, threads=1)
dense = LinearV2(256, 40, DType.float32)
dense.load_state_dict({"weight": weight})
forward_together([layer, dense], x)
mlp = MLPV2(DType.float32, None, 256, 40)
mlp.load_state_dict({"gate_proj.weight": weight, "up_proj.weight": weight, "down_proj.weight": weight.T.copy()})
mlp(x)
config = QuantizationConfig("gptq", 4, 128, False, True, "gptq")
gptq = GPTQLinearV2(256, 40, DType.uint8, quantization_config=config)
gptq.load_state_dict(maxlinear.quantize_gptq(weight, config))
gptq(x)
"""


def run(code, verbose, **keywords):
    environment = {key: value for key, value in os.environ.items() if key != "MAXLINEAR_VERBOSE"}
    if verbose is not None:
        environment["MAXLINEAR_VERBOSE"] = verbose
    words = [sys.executable, "-c", code]
    return subprocess.run(
        words, check=True, text=True, timeout=120, env=environment, stdout=subprocess.PIPE, **keywords
    )


def traced(code, verbose="1"):
    result = run(code, verbose, stderr=subprocess.PIPE)
    assert result.stdout == ""
    found = [LINE.fullmatch(line) for line in result.stderr.splitlines()]
    assert all(found), result.stderr
    return [match.groupdict() for match in found]


def test_lines():
    found = traced(CALLS)
    assert [line["operation"] for line in found] == [
        *("quantize", "dequantize", "pack", "linear", "pack", "together"),
        *("pack", "pack", "pack", "gate_up", "linear", "pack", "linear"),
    ]
    shapes = [tuple(line[key] and int(line[key]) for key in "MKN") for line in found]
    assert shapes == [
        *((40, 256, None), (40, 256, None), (None, 256, 40), (3, 256, 40), (None, 256, 40), (3, 256, 80)),
        *((None, 256, 40), (None, 40, 256), (None, 256, 40)),
        *((3, 256, 40), (3, 40, 256), (None, 256, 40), (3, 256, 40)),
    ]
    kernels = [line["kernel"] for line in found]
    assert kernels[:2] == ["Q4_K", "Q4_K"] and kernels[2] == kernels[3] and "q4_k_int8" in kernels[3]
    first, second = kernels[5].split(",")
    assert first == kernels[3] and second == kernels[4] and "f32_f32" in second
    assert "gptq_128" in kernels[-1] and kernels[-2] == kernels[-1]
    assert found[3]["threads"] == "1" and all(int(line["threads"]) >= 1 for line in found)


@pytest.mark.parametrize("verbose", [None, "", "0"])
def test_nothing_is_printed_unless_asked_for(verbose):
    assert run(CALLS, verbose, stderr=subprocess.PIPE).stderr == ""


def test_it_is_read_once():
    # The library keeps an environment of its own: what Python sets reaches it by putenv.
    code = CALLS + "import os\nos.environ['MAXLINEAR_VERBOSE'] = '1'\ngptq(x)\n"
    assert run(code, None, stderr=subprocess.PIPE).stderr == ""


def test_lines_of_threads_do_not_mix():
    code = CALLS + (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    list(pool.map(lambda _: gptq(x), range(200)))\n"
    )
    assert len(traced(code, "2")) == 13 + 200


def test_a_reader_that_went_away_does_not_end_the_process():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code = "import signal\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\n" + CALLS + "print(gptq(x).shape)"
        assert run(code, "1", stderr=writer).stdout == "(3, 40)\n"
    finally:
        os.close(writer)
