"""What all peers' scripts share: they build one layer, say that it is ready, and time it as often as they are asked.

A script is run as `PYTHON peers/NAME.py '{"layer": "linear", "encoding": "Q4_K", "K": 4096, ...}'`. It answers each line
{"M": 32, "seconds": 0.5} of its input with a line of its output, as `maxlinear bench --requests` does.
"""

import json
import sys
import time
from dataclasses import dataclass

import numpy as np

GROUP = 128


@dataclass(frozen=True)
class Case:
    """One layer of one encoding."""

    layer: str
    encoding: str
    in_dim: int
    out_dim: int
    threads: int
    #: How many copies of the layer the calls rotate through.
    copies: int

    @property
    def shapes(self):
        """The matrices' outputs and inputs: gate, up and down of an MLP."""
        wide, narrow = (self.out_dim, self.in_dim), (self.in_dim, self.out_dim)
        return [wide] if self.layer == "linear" else [wide, wide, narrow]

    @property
    def bits(self):
        """Of GPTQ's codes."""
        return 8 if self.encoding == "GPTQ-8" else 4

    @property
    def is_asymmetric(self):
        return self.encoding == "GPTQ-asym"

    @property
    def has_order(self):
        return self.encoding == "GPTQ-act-order"


def generator():
    return np.random.default_rng(0)


def dense(random, out_dim, in_dim):
    return random.standard_normal((out_dim, in_dim), dtype=np.float32) / np.float32(64)


def bfloat16_bits(values):
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def measure(run, copies, seconds):
    """As `maxlinear bench` does it: calls to warm up, then calls of one copy after the other until the time is over.

    Each copy is called once beforehand: some pick kernels, allocate or pack at the first call with an M, which is no part of later calls. Then
    at least 7 calls, 3 where each takes longer than the time, or 1 where it takes four times as long.
    """
    turn = 0

    def once():
        nonlocal turn
        turn += 1
        begin = time.perf_counter()
        run(turn % copies)
        return time.perf_counter() - begin

    warm = min([once() for _ in range(copies)])
    if warm < seconds:
        once()
    least = 7 if warm < seconds else 3 if warm < 4 * seconds else 1
    times = []
    while sum(times) < seconds or len(times) < least:
        times.append(once())
    low, median, high = np.quantile(times, [0.1, 0.5, 0.9])
    return {"seconds": float(median), "seconds_10": float(low), "seconds_90": float(high), "calls": len(times)}


def serve(peer, build):
    """`build(case)` gives a function that takes M and gives a function that takes the number of a copy and runs it once."""
    options = json.loads(sys.argv[1])
    case = Case(
        layer=options["layer"],
        encoding=options["encoding"],
        in_dim=options["K"],
        out_dim=options["N"],
        threads=options["threads"],
        copies=options["copies"],
    )
    prepare = build(case)
    print(json.dumps({"peer": peer, "ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        found = measure(prepare(request["M"]), case.copies, request["seconds"])
        print(json.dumps({"M": request["M"], **found}), flush=True)
