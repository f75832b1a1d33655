"""Every message in the sources says what was expected: also those that no test provokes."""

import re
import sys

import pytest
from c_support import ROOT

sys.path.insert(0, str(ROOT / "Tests"))
from messages import has_three_parts

#: Where a message begins: what makes an error, in Swift, in C and in Python.
MAKERS = {
    ".swift": r"MaxLinearError\(\s*[\w.]+,|(?<!func )\bfailure\(",
    ".c": r"\bmxlk_refuse\(\w+, &?\w+,",
    ".py": r"\b\w*Error\(\s*\"MXL_\w+\",",
}
#: Messages of messages, and those that a variable or a closure holds, which are seen where they are made.
WRAPPERS = re.compile(
    r"\.message\b|\bmessage\)|\(reason|\breason\b|^\s*(wanted|error|message|path, \w+|path, \"\w+\")|\\\(wanted\)"
)


def calls(text, maker):
    """The arguments of each call, which end where its bracket does."""
    for match in re.finditer(maker, text):
        depth, end = 1, match.end()
        while depth > 0:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        line = text.count("\n", 0, match.start()) + 1
        yield line, re.sub(r"\"\s*\+?\s*f?\"", "", text[match.end() : end - 1])


def sources():
    for folder in ("Sources/MaxLinear", "Sources/MaxLinearC", "Sources/maxlinear-cli", "Sources/Kernels/plugins"):
        yield from (ROOT / folder).rglob("*.*")
    yield from (ROOT / "bindings" / "python" / "src").rglob("*.py")


FILES = [
    path
    for path in sorted(sources())
    if path.suffix in MAKERS and re.search(MAKERS[path.suffix], path.read_text(encoding="utf-8"))
]


def test_there_are_messages():
    assert len(FILES) > 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_message_says_what_was_expected(path):
    text = path.read_text(encoding="utf-8")
    made = list(calls(text, MAKERS[path.suffix]))
    short = [(line, said) for line, said in made if "expected" not in said and not WRAPPERS.search(said)]
    assert short == []


@pytest.mark.parametrize(
    ("message", "good"),
    [
        ("x: last dimension is 4095, expected in_dim = 4096", True),
        ('/a: tensor "b": dtype is something else, expected a string', True),
        ("layer: is NULL, expected the handle of a layer", True),
        ("x: is NULL", False),
        ("expected the path of a file", False),
        ("x: expected a number", False),
        ("is 3, expected 4", False),
        ("x: is 3, expected ", False),
        ("", False),
    ],
)
def test_the_form(message, good):
    assert has_three_parts(message) == good
