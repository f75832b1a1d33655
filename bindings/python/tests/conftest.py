import sys

import numpy as np
import pytest
from python_support import ROOT

import maxlinear.errors

sys.path.insert(0, str(ROOT / "Tests"))
from messages import has_three_parts


@pytest.fixture(autouse=True)
def messages(monkeypatch):
    """All messages of the library during a test, which must name the argument, what came and what was expected."""
    found = []
    before = maxlinear.errors.Error.__init__

    def collected(self, status, message):
        # A test may make an error of its own.
        if sys._getframe(1).f_globals["__name__"].startswith("maxlinear."):
            found.append(message)
        before(self, status, message)

    monkeypatch.setattr(maxlinear.errors.Error, "__init__", collected)
    yield found
    assert [message for message in found if not has_three_parts(message)] == []


@pytest.fixture
def random():
    return np.random.default_rng(7)
