"""In a torch process: tensors as x and as weights, without a copy where none is needed. Needs torch, which `make test` does not install."""

import pickle

import numpy as np
import pytest

from maxlinear.dtype import DType
from maxlinear.nn import Linear, LinearV2

torch = pytest.importorskip("torch")

K, N = 256, 64


@pytest.fixture
def weight():
    return torch.randn(N, K, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def x():
    return torch.randn(3, 5, K, generator=torch.Generator().manual_seed(2))


def test_a_torch_modules_linear(weight, x):
    """The state dict of a torch.nn.Linear is that of a LinearV2, once it is detached."""
    module = torch.nn.Linear(K, N)
    layer = LinearV2(K, N, DType.float32, has_bias=True)
    layer.load_state_dict({key: value.detach() for key, value in module.state_dict().items()})
    with torch.no_grad():
        expected = module(x).numpy()
    y = layer(x)
    assert isinstance(y, np.ndarray)
    np.testing.assert_allclose(y, expected, atol=2e-5)
    assert (torch.from_numpy(y) == torch.from_numpy(layer(x.numpy()))).all()


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
def test_dtypes(name, weight, x):
    dtype = getattr(torch, name)
    layer = LinearV2(K, N, DType[name])
    layer.load_state_dict({"weight": weight.to(dtype)})
    y = layer(x.to(dtype))
    assert y.dtype.name == name
    expected = x.to(dtype).double() @ weight.to(dtype).double().T
    error = np.linalg.norm(y.astype(np.float64) - expected.numpy()) / np.linalg.norm(expected.numpy())
    assert error < {"float32": 1e-6, "float16": 1e-3, "bfloat16": 5e-3}[name]


def test_views(weight, x):
    layer = Linear(weight)
    plain = layer(x.contiguous())
    assert (layer(x.transpose(0, 1).contiguous().transpose(0, 1)) == plain).all()
    assert (layer(x[:, ::2]) == plain[:, ::2]).all()
    assert (layer(torch.stack([x, x], -1)[..., 0]) == plain).all()


def test_out_in_a_tensors_memory(weight, x):
    y = torch.zeros(3, 5, N)
    Linear(weight)(x, out=y.numpy())
    assert (y == torch.from_numpy(Linear(weight)(x))).all()


def test_refusals(weight, x):
    layer = Linear(weight)
    with pytest.raises(TypeError, match="x: "):
        layer(x.requires_grad_())
    with pytest.raises(TypeError):
        layer(x.detach().to("meta"))
    with pytest.raises(ValueError, match="last dimension"):
        layer(x.detach()[..., :3])


def test_pickled_with_a_torch_module(weight, x):
    """torch.save's way: pickle within a torch process."""
    layer = Linear(weight)
    assert (pickle.loads(pickle.dumps({"layer": layer}))["layer"](x) == layer(x)).all()
