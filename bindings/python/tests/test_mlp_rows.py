"""MLPs of many rows, which are computed in chunks, and of few threads."""

import os
import subprocess
import sys

import numpy as np
import pytest

from maxlinear.dtype import DType
from maxlinear.nn import MLPV2

#: Rows that are divided into two chunks, of which the smaller needs more room for h in down's order than the larger: h has 1024 rows in one piece
#: of 32 MiB where the second piece would begin.
HIDDEN, FEED_FORWARD, ROWS = 16, 16384, 1025


@pytest.mark.parametrize("rows", [ROWS - 1, ROWS, ROWS + 1])
def test_rows_of_uneven_chunks_are_those_rows_alone(random, rows):
    mlp = MLPV2(DType.float32, None, HIDDEN, FEED_FORWARD)
    shapes = {
        "gate_proj": (FEED_FORWARD, HIDDEN),
        "down_proj": (HIDDEN, FEED_FORWARD),
        "up_proj": (FEED_FORWARD, HIDDEN),
    }
    mlp.load_state_dict(
        {f"{part}.weight": random.standard_normal(shape).astype(np.float32) for part, shape in shapes.items()}
    )
    x = random.standard_normal((rows, HIDDEN)).astype(np.float32)
    apart = np.concatenate([mlp(x[begin : begin + 64], threads=1) for begin in range(0, rows, 64)])
    assert (mlp(x, threads=2) == apart).all()


THREADS = """
import os
import ml_dtypes
import numpy as np
from maxlinear.nn import MLP, Linear

def threads():
    return len(os.listdir("/proc/self/task"))

random = np.random.default_rng(0)
gate = Linear(random.standard_normal((2048, 16)).astype(ml_dtypes.bfloat16))
up = Linear(random.standard_normal((2048, 16)).astype(np.float32))
down = Linear(random.standard_normal((16, 2048)).astype(np.float32))
mlp = MLP(gate, down, up)
x = random.standard_normal((300, 16)).astype(np.float32)
mlp(x[:1], threads=1)
before = threads()
mlp(x, threads=1)
print(threads() - before)
"""


def test_a_call_of_one_thread_makes_none_for_the_activation():
    environment = {**os.environ, "MAXLINEAR_NUM_THREADS": "4"}
    result = subprocess.run(
        [sys.executable, "-c", THREADS], check=False, capture_output=True, text=True, timeout=300, env=environment
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "0"
