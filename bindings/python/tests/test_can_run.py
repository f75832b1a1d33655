"""`can_run` answers what creating, loading and preparing a layer then does: the same kernel, or the same status and message."""

import itertools
import os

import numpy as np
import pytest
from gptq_format import tensors

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph import DeviceRef
from maxlinear.graph.quantization import QuantizationConfig, QuantizationEncoding
from maxlinear.nn.linear import GPTQLinearV2, LinearV2

DENSE = [*DType]
ENCODINGS = [encoding.name for encoding in QuantizationEncoding.all()]
COMPUTES = [None, "float32", "int8", "bfloat16"]
PACKS = [None, "always", "never", "sometimes"]
#: (out_dim, in_dim)
SHAPES = [
    (5, 256),
    (40, 512),
    (3, 320),
    (17, 32),
    (16, 31),
    (1, 1),
    (0, 256),
    (4, 0),
    (-1, 256),
    (4, -256),
    (4, 1 << 62),
    (1 << 62, 256),
    (1 << 70, 256),
    (4, -(1 << 70)),
]
DEVICES = [None, DeviceRef.CPU(), DeviceRef.CPU(1), DeviceRef.CPU(-1), DeviceRef.GPU(), DeviceRef.CPU(1 << 40)]
GPTQ = [
    QuantizationConfig(method, bits, size, desc_act=order, sym=sym)
    for method, bits, size, order, sym in itertools.product(
        ["gptq", "awq"], [2, 3, 4, 8, 5], [-1, 24, 32, 96, 100, 128, 0], [False, True], [False, True]
    )
]


def truth(out_dim, in_dim, dtype, *, encoding=None, config=None, device=None, has_bias=False, clip=None, **how):
    """What happens: (status, message, kernel)."""
    try:
        if config is not None:
            layer = GPTQLinearV2(in_dim, out_dim, dtype, device, has_bias, quantization_config=config)
            stored = "awq" if config.quant_method == "awq" else "gptq"
            order = config.desc_act and stored == "gptq"
            state = tensors(
                np.random.default_rng(1),
                in_dim,
                out_dim,
                config.group_size,
                sym=config.sym,
                act_order=order,
                stored=stored,
                bits=config.bits,
            )
            if has_bias:
                state["bias"] = np.zeros(out_dim, np.float32)
        else:
            chosen = None if encoding is None else QuantizationEncoding(encoding)
            layer = LinearV2(in_dim, out_dim, dtype, device, has_bias, chosen, clip_weight=clip)
            state = layer.state_dict()
        layer.load_state_dict(state)
        layer.prepare(**how)
        layer(np.zeros((2, in_dim), np.float32))
    except maxlinear.Error as error:
        return error.status, error.message, None
    return "MXL_OK", "", layer.kernel


def answer(out_dim, in_dim, dtype, *, encoding=None, config=None, device=None, has_bias=False, clip=None, **how):
    chosen = QuantizationEncoding.GPTQ if config is not None else encoding
    said = maxlinear.can_run(in_dim, out_dim, dtype, device, has_bias, chosen, clip, config, **how)
    assert bool(said) == (said.error is None) == (said.kernel is not None)
    return said.status, said.message, said.kernel


def agree(*arguments, **keywords):
    expected = truth(*arguments, **keywords)
    said = answer(*arguments, **keywords)
    if keywords.get("pack") == "sometimes" or keywords.get("compute") == "bfloat16":
        # Of two faults either may be named: what C has no number for is refused first.
        assert said[2] is expected[2] is None
    else:
        assert said == expected, (arguments, keywords)
    return expected[0]


@pytest.mark.parametrize("dtype", DENSE, ids=lambda dtype: dtype.name)
def test_dense(dtype):
    seen = {
        agree(*shape, dtype, compute=compute, pack=pack)
        for shape, compute, pack in itertools.product(SHAPES, COMPUTES, PACKS)
    }
    assert "MXL_INVALID_SHAPE" in seen
    agree(40, 512, dtype, has_bias=True)
    for clip in (1.0, 0.0, float("nan")):
        agree(40, 512, dtype, clip=clip)


@pytest.mark.parametrize("encoding", [*ENCODINGS, "nonsense"])
def test_encodings(encoding):
    seen = {
        agree(*shape, DType.uint8, encoding=encoding, compute=compute, pack=pack)
        for shape, compute, pack in itertools.product(SHAPES, COMPUTES, PACKS)
    }
    assert ("MXL_OK" in seen) == (encoding != "nonsense")
    agree(40, 512, DType.float16, encoding=encoding, has_bias=True)
    agree(40, 512, DType.uint8, encoding=encoding, clip=1.0)


@pytest.mark.parametrize("config", GPTQ, ids=lambda config: "-".join(str(value) for value in vars(config).values()))
def test_gptq(config):
    for compute, pack in itertools.product(COMPUTES, PACKS):
        agree(16, 192, DType.float16, config=config, compute=compute, pack=pack)
    for shape in [(32, 256), (8, 96), (8, 32), (5, 256), (16, 100), (0, 256), (16, -8), (1 << 62, 256), (16, 1 << 40)]:
        agree(*shape, DType.float32, config=config, has_bias=True)


def test_gptq_without_a_config():
    said = maxlinear.can_run(128, 16, DType.float16, quantization_encoding=QuantizationEncoding.GPTQ)
    assert not said and said.status == "MXL_INVALID_ARGUMENT" and "quantization_config" in said.message


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_devices(device):
    for encoding in (None, "Q4_K"):
        dtype = DType.float32 if encoding is None else DType.uint8
        for compute, pack in itertools.product(COMPUTES, PACKS):
            agree(8, 256, dtype, encoding=encoding, device=device, compute=compute, pack=pack)


@pytest.mark.parametrize("isa", ["scalar", "avx2", "avx512", "amx", "sse9", ""])
def test_cpu_variants(monkeypatch, isa):
    monkeypatch.setenv("MAXLINEAR_ISA", isa)
    assert os.environ["MAXLINEAR_ISA"] == isa
    seen = set()
    for encoding, compute, pack in itertools.product([None, *ENCODINGS], COMPUTES, PACKS):
        dtype = DType.float32 if encoding is None else DType.uint8
        seen.add(agree(24, 512, dtype, encoding=encoding, compute=compute, pack=pack))
    assert ("MXL_OK" in seen) == (isa != "sse9")


@pytest.mark.parametrize("threads", [None, 0, 1, 1024, 1025, -1, 1 << 40])
def test_threads(threads):
    agree(8, 256, DType.float32, threads=threads)


def test_the_kernel_is_named():
    said = maxlinear.can_run(512, 40, DType.uint8, quantization_encoding="Q4_K", compute="int8")
    assert said and said.status == "MXL_OK" and said.message == "" and "q4_k_int8" in said.kernel
    refused = maxlinear.can_run(500, 40, DType.uint8, quantization_encoding="Q4_K")
    assert not refused and refused.kernel is None and "500" in refused.message and isinstance(refused.error, ValueError)
