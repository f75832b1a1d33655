"""What the library owns stays as long as the interpreter runs: handlers at exit and daemon threads still use it."""

import os
import subprocess
import sys

import numpy as np
import pytest
from python_support import write_safetensors

PROGRAMS = {
    "a state dict": """
        layer = Linear(np.full((1024, 1024), 3, np.float32))
        layer.prepare(pack="never")
        kept["array"] = layer.state_dict()["weight"]
    """,
    "a checkpoint": """
        kept["array"] = load_weights(sys.argv[1]).w.numpy()
    """,
    "a layer": """
        layer = Linear(np.full((1024, 1024), 3, np.float32))
        layer.prepare()
        kept["call"] = lambda: layer(np.ones(1024, np.float32))[0] / 1024
    """,
}

#: The handler is registered before the library is imported, and so runs after those of what it imports.
TEMPLATE = """
import atexit, sys
kept = {}
def last():
    array = kept.get("array")
    print(float(kept["call"]() if array is None else array.mean()), flush=True)
atexit.register(last)
import numpy as np
from maxlinear.graph.weights import load_weights
from maxlinear.nn import Linear
"""


def run(program, *arguments):
    lines = [line.strip() for line in program.splitlines()]
    text = TEMPLATE + "\n".join(lines)
    done = subprocess.run(
        [sys.executable, "-c", text, *arguments], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    return done.returncode, done.stdout.strip(), done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_handlers_at_exit(tmp_path, name):
    path = write_safetensors(tmp_path / "w.safetensors", {"w": np.full((1024, 1024), 3, np.float32)})
    assert run(PROGRAMS[name], path) == (0, "3.0", "")
