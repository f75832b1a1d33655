"""quantize is at least as near to the values as ggml's own quantizer, for every encoding of the library that ggml has."""

import json
from functools import cache

import pytest
from make_ggml_errors import FIXTURE, TYPES, digest, error, importance, matrices, rows_for

import maxlinear
from maxlinear.graph.quantization import QuantizationEncoding

EXPECTED = json.loads(FIXTURE.read_text())
#: By the registry: an encoding that is added is held to ggml's errors at once.
OWN = [encoding.name for encoding in QuantizationEncoding.all() if encoding.name in TYPES]
MATRICES = list(EXPECTED["Q4_0"])


@cache
def known():
    return dict(matrices())


def test_the_fixture_has_every_type_and_matrix():
    assert set(OWN) >= {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL"}
    assert EXPECTED["model"] == digest()
    assert all(list(EXPECTED[name]) == MATRICES for name in TYPES)
    assert list(known()) == MATRICES and len(MATRICES) == 41


@pytest.mark.parametrize("encoding", OWN)
def test_errors_are_not_above_ggmls(encoding):
    elements = QuantizationEncoding(encoding).elements_per_block
    above = []
    for name, values in known().items():
        rows = rows_for(values, elements)
        for weights, theirs in zip((None, importance(rows.shape[1])), EXPECTED[encoding][name], strict=True):
            again = maxlinear.dequantize(maxlinear.quantize(rows, encoding, weights))
            ours = error(rows, again, 1.0 if weights is None else weights)
            if not ours <= theirs:
                above.append(f"{name}{'' if weights is None else ', weighted'}: {ours / theirs:.4f}")
    assert not above
