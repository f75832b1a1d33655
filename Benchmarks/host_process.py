"""What maxlinear costs a host that has threads of its own: turns with torch or numpy, and more threads than CPUs.

host_process.py torch|numpy|oversubscribed [--cpus]

Prints one line of JSON a shape: the median microseconds of a call alone, of the other's call alone, of a pair in turn,
and the ratio of the pair to the sum; or the median milliseconds of calls with as many threads as CPUs and with twice as
many. --cpus gives each thread of the process the CPU that an idle machine would: the caller the first, all others the
second. Run it on two CPUs.
"""

import json
import os
import statistics
import sys
import time

import numpy as np

import maxlinear
from maxlinear.dtype import DType
from maxlinear.nn.linear import LinearV2

PAIRS = [(32, 256, 256), (32, 512, 512), (64, 1024, 1024), (128, 2048, 2048)]
ROUNDS = 5
SECONDS = 0.06


def layer_of(in_dim, out_dim, random):
    layer = LinearV2(in_dim, out_dim, DType.float32)
    layer.load_state_dict({"weight": random.standard_normal((out_dim, in_dim)).astype(np.float32)})
    return layer


def median_seconds(call, seconds=SECONDS):
    times = []
    end = time.perf_counter() + seconds
    while len(times) < 8 or time.perf_counter() < end:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def other_call(name, x, weight, y):
    """A multiplication of the same shape by another library, on two threads."""
    if name == "numpy":
        return lambda: np.matmul(x, weight, out=y)
    import torch

    torch.set_num_threads(2)
    x, weight, y = map(torch.from_numpy, (x, weight, y))
    return lambda: torch.mm(x, weight, out=y)


def turns(name, cpus):
    random = np.random.default_rng(1)
    for rows, in_dim, out_dim in PAIRS:
        layer = layer_of(in_dim, out_dim, random)
        x = random.standard_normal((rows, in_dim)).astype(np.float32)
        weight = random.standard_normal((in_dim, out_dim)).astype(np.float32)
        other = other_call(name, x, weight, np.empty((rows, out_dim), np.float32))

        def ours(layer=layer, x=x):
            layer(x)

        def both(ours=ours, other=other):
            ours()
            other()

        for call in ours, other, both:
            median_seconds(call, 0.02)
        if cpus:
            for thread in os.listdir("/proc/self/task"):
                os.sched_setaffinity(int(thread), {0 if int(thread) == os.getpid() else 1})
        measured = []
        for _ in range(ROUNDS):
            times = []
            for call in ours, other, both:
                time.sleep(0.1)  # the other's workers fall asleep: OpenBLAS's spin for tens of milliseconds
                times.append(median_seconds(call))
            measured.append(times)
        ratios = [pair / (one + two) for one, two, pair in measured]
        one, two, pair = (statistics.median(column) for column in zip(*measured, strict=True))
        report = {
            "M": rows,
            "K": in_dim,
            "N": out_dim,
            "us": round(one * 1e6),
            name: round(two * 1e6),
            "pair": round(pair * 1e6),
        }
        report |= {
            "ratio": round(statistics.median(ratios), 2),
            "least": round(min(ratios), 2),
            "most": round(max(ratios), 2),
        }
        print(json.dumps(report), flush=True)


def oversubscribed():
    random = np.random.default_rng(1)
    cpus = len(os.sched_getaffinity(0))
    maxlinear.set_num_threads(2 * cpus)
    layer = layer_of(4096, 4096, random)
    for rows in 1, 8, 128:
        x = random.standard_normal((rows, 4096)).astype(np.float32)
        measured = [
            [median_seconds(lambda t=t, x=x: layer(x, threads=t), 0.3) for t in (cpus, 2 * cpus)] for _ in range(ROUNDS)
        ]
        few, many = (statistics.median(column) for column in zip(*measured, strict=True))
        ratios = [many / few for few, many in measured]
        report = {"M": rows, "threads": cpus, "ms": round(few * 1e3, 2), "twice": round(many * 1e3, 2)}
        report |= {"ratio": round(statistics.median(ratios), 2), "most": round(max(ratios), 2)}
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "oversubscribed":
        oversubscribed()
    else:
        turns(sys.argv[1], "--cpus" in sys.argv)
