"""Several linear layers over one x: the bits of the layers one by one, and refusals that change nothing."""

import functools
import itertools

import ml_dtypes
import numpy as np
import pytest

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph import DeviceRef
from maxlinear.graph.quantization import QuantizationConfig, QuantizationEncoding
from maxlinear.nn import MLPV2, ColumnParallelLinear, GPTQLinearV2, LinearV2, QLinear, forward_together

IN_DIM = 512


def weight_of(random, out_dim, in_dim=IN_DIM):
    return (random.standard_normal((out_dim, in_dim)) / 16).astype(np.float32)


def encoded(random, encoding, out_dim, in_dim=IN_DIM):
    layer = LinearV2(in_dim, out_dim, DType.uint8, has_bias=True, quantization_encoding=QuantizationEncoding(encoding))
    bias = random.standard_normal(out_dim).astype(np.float32)
    layer.load_state_dict({"weight": maxlinear.quantize(weight_of(random, out_dim, in_dim), encoding), "bias": bias})
    return layer


def dense(random, out_dim, dtype=DType.float32, in_dim=IN_DIM):
    layer = LinearV2(in_dim, out_dim, dtype)
    layer.load_state_dict({"weight": weight_of(random, out_dim, in_dim).astype(dtype.to_numpy())})
    return layer


def gptq(random, out_dim, order=None):
    config = QuantizationConfig("gptq", 4, 128, order is not None, True)
    layer = GPTQLinearV2(
        IN_DIM, out_dim, DType.float32, quantization_encoding=QuantizationEncoding.GPTQ, quantization_config=config
    )
    state = maxlinear.quantize_gptq(weight_of(random, out_dim), QuantizationConfig("gptq", 4, 128, False, True))
    if order is not None:
        state["g_idx"] = (np.random.default_rng(order).permutation(IN_DIM) // 128).astype(np.int32)
    layer.load_state_dict(state)
    return layer


def layers_of(random):
    """Layers that read x in every way: int8, float32, pairs of bfloat16, in two orders of columns."""
    return [
        encoded(random, "Q4_K", 200),
        dense(random, 33),
        encoded(random, "Q8_0", 64),
        gptq(random, 96),
        gptq(random, 40, order=1),
        gptq(random, 48, order=1),
        gptq(random, 56, order=2),
        dense(random, 70, DType.bfloat16),
        dense(random, 31, DType.float16),
        encoded(random, "MXFP4", 1),
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_the_bits_of_the_layers_one_by_one(random, dtype):
    layers = layers_of(random)
    for rows in (1, 2, 7, 33, 130):
        x = random.standard_normal((rows, IN_DIM)).astype(dtype)
        alone = [layer(x) for layer in layers]
        for threads in (1, 2, 4):
            for y, expected in zip(forward_together(layers, x, threads=threads), alone, strict=True):
                assert y.dtype == dtype and y.tobytes() == expected.tobytes()


def test_each_pair_and_one_alone(random):
    layers = layers_of(random)
    x = random.standard_normal((3, IN_DIM)).astype(np.float32)
    alone = [layer(x) for layer in layers]
    for pair in [*itertools.permutations(range(len(layers)), 2), *((i,) for i in range(len(layers)))]:
        for i, y in zip(pair, forward_together([layers[i] for i in pair], x), strict=True):
            assert y.tobytes() == alone[i].tobytes()


def test_columns_of_one_array(random):
    """Q, K and V side by side, as attention wants them."""
    layers = [encoded(random, "Q4_0", out_dim) for out_dim in (128, 32, 32)]
    x = random.standard_normal((2, 5, IN_DIM)).astype(np.float32)
    whole = np.full((2, 5, 200), 7, np.float32)
    outs = [whole[..., :128], whole[..., 128:160], whole[..., 168:]]
    assert all(y is out for y, out in zip(forward_together(layers, x, outs), outs, strict=True))
    for layer, out in zip(layers, outs, strict=True):
        assert (out == layer(x)).all()
    assert (whole[..., 160:168] == 7).all()
    forward_together(layers, x, outs, accumulate=True)
    for layer, out in zip(layers, outs, strict=True):
        assert (out == 2 * layer(x)).all()


def test_zero_rows_and_one_row(random):
    layers = [dense(random, 5), encoded(random, "Q8_0", 6)]
    ys = forward_together(layers, np.empty((2, 0, IN_DIM), np.float32))
    assert [y.shape for y in ys] == [(2, 0, 5), (2, 0, 6)]
    x = random.standard_normal(IN_DIM).astype(np.float32)
    assert [y.tobytes() for y in forward_together(layers, x)] == [layer(x).tobytes() for layer in layers]


def test_a_layer_twice(random):
    layer = encoded(random, "Q5_K", 24)
    x = random.standard_normal((4, IN_DIM)).astype(np.float32)
    first, second = forward_together([layer, layer], x)
    assert first is not second and first.tobytes() == second.tobytes() == layer(x).tobytes()


def mlp(random):
    return MLPV2(DType.float32, None, IN_DIM, 64, LinearV2)


def parallel(random):
    layer = ColumnParallelLinear(IN_DIM, 64, DType.float32, devices=[DeviceRef.CPU(0), DeviceRef.CPU(1)])
    layer.load_state_dict({"weight": weight_of(random, 64)})
    return layer


def own_call(random):
    class Own(LinearV2):
        def __call__(self, x):
            return x

    return Own(IN_DIM, 8, DType.float32)


@pytest.mark.parametrize("other", [mlp, parallel, own_call, lambda random: None])
def test_other_layers_are_refused(random, other):
    with pytest.raises(TypeError, match=r"layers\[1\]: is a .*, expected a linear layer"):
        forward_together([dense(random, 4), other(random)], np.zeros(IN_DIM, np.float32))


def arrays(*widths):
    return [np.full((3, width), 5, np.float32) for width in widths]


def overlapping():
    whole = np.full((3, 12), 5, np.float32)
    return [whole[:, :8], whole[:, 6:]]


REFUSALS = {
    "none": (lambda r: [], None, "count: is 0, expected 1 to 64 layers"),
    "too many": (lambda r: [dense(r, 1)] * 65, None, "layers: there are 65, expected 1 to 64"),
    "in_dim": (
        lambda r: [dense(r, 8), dense(r, 6, in_dim=256)],
        arrays(8, 6),
        "layers[1]: in_dim is 256, expected that of layers[0], 512",
    ),
    "out_dim": (
        lambda r: [dense(r, 8), dense(r, 6)],
        arrays(8, 7),
        "layers[1]: out: last dimension is 7, expected out_dim = 6",
    ),
    "overlap": (
        lambda r: [dense(r, 8), dense(r, 6)],
        overlapping(),
        "out[1]: overlaps out[0], expected memory of its own",
    ),
    "count of out": (
        lambda r: [dense(r, 8), dense(r, 6)],
        arrays(8),
        "out: there are 1, expected one for each of the 2",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_change_nothing(random, case):
    layers, outs, message = REFUSALS[case]
    x = random.standard_normal((3, IN_DIM)).astype(np.float32)
    with pytest.raises(ValueError, match=".") as caught:
        forward_together(layers(random), x, outs)
    assert message in str(caught.value)
    assert all((out == 5).all() for out in outs or [])


def test_x_is_not_written(random):
    x = random.standard_normal((3, IN_DIM)).astype(np.float32)
    layers = [dense(random, 8), dense(random, IN_DIM)]
    before = x.copy()
    with pytest.raises(ValueError, match=r"layers\[1\]: out: overlaps x"):
        forward_together(layers, x, [np.empty((3, 8), np.float32), x])
    assert (x == before).all()


def test_out_may_be_a_generator(random):
    x = random.standard_normal((3, IN_DIM)).astype(np.float32)
    layers = [dense(random, 8), dense(random, 6)]
    for _ in ("not prepared", "prepared"):
        outs = arrays(8, 6)
        assert all(y is out for y, out in zip(forward_together(layers, x, (out for out in outs)), outs, strict=True))
        assert all((out == layer(x)).all() for layer, out in zip(layers, outs, strict=True))


def test_an_mlp_of_own_linears_is_refused(random):
    mlp = MLPV2(DType.float32, None, IN_DIM, 4, functools.partial(LinearV2))
    for layers in ([mlp], [dense(random, 8), mlp]):
        with pytest.raises(TypeError, match="is a MLPV2, expected a linear layer"):
            forward_together(layers, np.zeros(IN_DIM, np.float32))


def test_no_weights_and_bad_options(random):
    x = np.zeros(IN_DIM, np.float32)
    with pytest.raises(RuntimeError):
        forward_together([dense(random, 4), LinearV2(IN_DIM, 4, DType.float32)], x)
    with pytest.raises(ValueError, match="threads"):
        forward_together([dense(random, 4)], x, threads=-1)
    with pytest.raises(ValueError, match="accumulate"):
        forward_together([dense(random, 4)], x, accumulate=True)
    with pytest.raises(TypeError):
        forward_together([dense(random, 4)], x.astype(np.float64))


def test_qlinear_and_linears_of_every_kind(random):
    """Class by class."""
    weight = maxlinear.quantize(weight_of(random, 16), "Q6_K")
    layers = [QLinear(weight, quantization_encoding=QuantizationEncoding.Q6_K), dense(random, 8)]
    x = random.standard_normal((2, IN_DIM)).astype(np.float32)
    for layer, y in zip(layers, forward_together(layers, x), strict=True):
        assert y.tobytes() == layer(x).tobytes()
