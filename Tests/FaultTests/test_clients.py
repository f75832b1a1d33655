"""Clients in C that must end with the memory they began with, agree on every bit from many threads, and live through lack of memory."""

import os
import re
from pathlib import Path

import pytest
from c_support import PLAIN, build, run

HERE = Path(__file__).resolve().parent
#: `MAXLINEAR_TEST_SECONDS=60 pytest Tests/FaultTests` for more than a look.
SECONDS = os.environ.get("MAXLINEAR_TEST_SECONDS", "3")


def client(name, folder, **replaced):
    """The program; `replaced` are lines of its source and what they become."""
    source = folder / f"{name}.c"
    text = (HERE / f"{name}.c").read_text()
    for old, new in replaced.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    source.write_text(text)
    return build([source, HERE / "layers.c"], folder / name, f"-I{HERE}", "-pthread", "-ldl")


def test_nothing_leaks(tmp_path, record_property):
    growth = run([client("leaks", tmp_path), tmp_path, 10_000], PLAIN)
    record_property("growth", growth)
    assert growth.startswith("10000 cycles: ") and " 0 descriptors more" in growth


def test_a_leak_is_noticed(tmp_path):
    """One entry of one life that nobody lets go of."""
    program = client("leaks", tmp_path, **{"if (entry.release != NULL) entry.release(entry.owner);": ""})
    with pytest.raises(AssertionError, match="200 cycles: [0-9]{5,} bytes"):
        run([program, tmp_path, 200], PLAIN)


def test_threads_agree(tmp_path, record_property):
    done = run([client("stress", tmp_path), SECONDS], PLAIN)
    record_property("done", done)
    counts = [int(number) for number in re.findall(r"\d+", done)]
    assert counts[0] == 64 and min(counts[1:-1]) > 0 and counts[-1] == 0, done


def test_a_wrong_bit_is_noticed(tmp_path):
    line = "one->layer = kind_make(kind, &one->weights[0]);"
    program = client("stress", tmp_path, **{line: f"{line} one->expected[0].y[0][ROWS] += 1;"})
    with pytest.raises(AssertionError, match="bits of no weights"):
        run([program, 5], PLAIN)


def test_every_allocation_may_fail(tmp_path, record_property):
    """The program checks what a failure leaves; here, that each kind of layer had some in each step that allocates."""
    printed = run([client("allocations", tmp_path)], PLAIN)
    record_property("failures", printed)
    lines = printed.splitlines()
    assert len(lines) == len(re.findall(r'^    \{"', (HERE / "layers.c").read_text(), re.MULTILINE)) > 10
    for line in lines:
        create, load, prepare, forward, add, _, _ = (int(number) for number in re.findall(r" (\d+)(?= |$)", line))
        assert create + load > 0 and prepare > 0 and forward > 0 and add > 0, line
