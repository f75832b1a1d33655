"""The activation functions against float64, from the least floats to the largest."""

import math

import numpy as np
import pytest

from maxlinear.nn.gated import gate

#: Both signs, every few floats from 2^-40 to 2^100, and where erf becomes 1.
MAGNITUDES = np.concatenate([np.geomspace(2.0**-40, 2.0**100, 20011), np.linspace(0.5, 8, 20011)]).astype(np.float32)
X = np.concatenate([MAGNITUDES, -MAGNITUDES])

FORMULAS = {
    "silu": lambda x: x / (1 + math.exp(-x)) if x > -700 else 0.0,
    "gelu": lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
    "gelu_tanh": lambda x: x * (1 - math.tanh(-math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    "relu": lambda x: max(x, 0.0),
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x > -700 else 0.0,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name):
    """Beside a rounding of the result, an error of 2^-24 where 1 and nearly -1 are added, which |x| multiplies in the gelus as long as it is
    small."""
    expected = np.array([FORMULAS[name](float(x)) for x in X])
    found = gate(name, X, np.ones_like(X)).astype(np.float64)
    with np.errstate(over="ignore"):
        added = 2.0**-23 * np.minimum(np.abs(X.astype(np.float64)), 6) if name.startswith("gelu") else 0
        assert (np.abs(found - expected) <= np.abs(expected) * 2.0**-20 + added + 1e-36).all()
    if name.startswith("gelu"):
        assert (found[X < -6] == 0).all()
