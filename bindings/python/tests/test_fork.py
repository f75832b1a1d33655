"""A child process after fork uses what is its own, whatever the parent's threads did at that moment."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from python_support import write_safetensors

#: A thread of the parent loops while another forks; the child is given time, since a lock that nobody holds is waited for without end.
PROGRAM = """
import os, signal, sys, threading, time
import numpy as np
from maxlinear.dtype import DType
from maxlinear.graph.weights import load_weights
from maxlinear.nn import LinearV2

path = sys.argv[1]
x = np.ones(256, np.float32)

def mapped():
    layer = LinearV2(256, 4, DType.float32)
    layer.load_weights(load_weights(path))
    layer.prepare(pack="never")
    return layer

def forward():
    layer = mapped()
    while not stop.is_set():
        for _ in range(100):
            layer(x)

def make():
    while not stop.is_set():
        LinearV2(256, 4, DType.float32)

stop = threading.Event()
threads = [threading.Thread(target={"forward": forward, "make": make}[sys.argv[2]]) for _ in range(2)]
for thread in threads:
    thread.start()
expected = mapped()(x)
late = 0
for _ in range(60):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if (mapped()(x) == expected).all() else 1)
    late += os.waitpid(child, 0)[1] != 0
stop.set()
for thread in threads:
    thread.join()
assert late == 0, f"{late} children of 60 ended otherwise"
"""


@pytest.mark.parametrize("parent", ["forward", "make"])
def test_a_child_loads_its_own(tmp_path, parent):
    path = tmp_path / "m.safetensors"
    write_safetensors(path, {"weight": np.ones((4, 256), np.float32)})
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(path), parent],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MAXLINEAR_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
