"""Arrays whose elements are not whole elements apart, as fields of packed records: copied where they are read, refused where they are written."""

import numpy as np
import pytest

import maxlinear
from maxlinear.dtype import DType
from maxlinear.nn import ColumnParallelLinear, Linear, LinearV2, QLinear, forward_together
from maxlinear.nn.mlp import gate


def field(values):
    """The values as a field of records of 4 n + 1 bytes."""
    values = np.asarray(values)
    records = np.full(len(values), 255, [("value", values.dtype, values.shape[1:]), ("byte", np.uint8)])
    records["value"] = values
    return records["value"]


def bytes_between(view):
    """What the records have beside the field."""
    return view.base["byte"]


@pytest.fixture
def w(random):
    return random.standard_normal((2, 3)).astype(np.float32)


@pytest.fixture
def x(random):
    return random.standard_normal((4, 3)).astype(np.float32)


def test_weights(w, x, random):
    expected = Linear(w)(x)
    loaded = LinearV2(3, 2, DType.float32, has_bias=True)
    bias = field(random.standard_normal(2).astype(np.float32))
    loaded.load_state_dict({"weight": field(w), "bias": bias})
    assert loaded.state_dict()["weight"].tobytes() == w.tobytes()
    assert (loaded(x) == Linear(w, np.array(bias))(x)).all()
    assert (Linear(field(w))(x) == expected).all()


def test_blocks_and_scales(random):
    values = random.standard_normal((3, 32)).astype(np.float32)
    blocks = maxlinear.quantize(values, "Q8_0")
    assert maxlinear.quantize(field(values), "Q8_0").tobytes() == blocks.tobytes()
    importance = np.arange(32, dtype=np.float32)
    weighed = maxlinear.quantize(values, "Q4_0", importance)
    assert maxlinear.quantize(values, "Q4_0", field(importance)).tobytes() == weighed.tobytes()
    state = maxlinear.quantize_float8(field(values))
    x = random.standard_normal((2, 32)).astype(np.float32)
    y = Linear(state["weight"], None, state["weight_scale"])(x)
    assert (Linear(state["weight"], None, field(state["weight_scale"]))(x) == y).all()
    expected = QLinear(blocks, values[:, 0])(x)
    assert (QLinear(field(blocks), field(values[:, 0]), "Q8_0")(x) == expected).all()


def test_x(w, x):
    layer = Linear(w)
    assert (layer(field(x)) == layer(x)).all()
    assert (forward_together([layer], field(x))[0] == layer(x)).all()
    divided = ColumnParallelLinear(3, 2, DType.float32)
    divided.load_state_dict({"weight": w})
    assert (divided([field(x)])[0] == layer(x)).all()
    assert (gate("relu", field(x), field(x)) == gate("relu", x, x)).all()


@pytest.mark.parametrize("step", [1, -1])
def test_out_is_refused(w, x, step):
    layer = Linear(w)
    layer.prepare()
    out = field(np.zeros((4, 2), np.float32))
    for call, name in (
        (lambda: layer(x, out=out[::step]), "out: "),
        (lambda: forward_together([layer], x, out=[out[::step]]), r"out\[0\]: "),
    ):
        with pytest.raises(maxlinear.Error, match=name + "strides are .* bytes, expected multiples of") as caught:
            call()
        assert caught.value.status == "MXL_INVALID_SHAPE" and isinstance(caught.value, ValueError)
    assert not out.any() and (bytes_between(out) == 255).all()


def test_one_row_has_no_stride(w, x):
    out = field(np.zeros((1, 2), np.float32))
    layer = Linear(w)
    assert layer(x[:1], out=out) is out and (out == layer(x[:1])).all()


def test_any_alignment(w, x):
    """As the header says."""
    layer = Linear(w)
    memory = np.zeros(1 + 4 * 8 + 7, np.uint8)
    for offset in range(1, 4):
        out = memory[offset : offset + 32].view(np.float32).reshape(4, 2)
        source = np.zeros(1 + x.nbytes + 3, np.uint8)[offset : offset + x.nbytes].view(np.float32).reshape(x.shape)
        source[...] = x
        layer(source, out=out)
        assert (out == layer(x)).all()
