"""Rounds in which each has its turn: what disturbs the machine disturbs all alike."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from results import OWN
from runners import RunnerFailed, start, start_reading

#: Threads that wait for more work spin for a while; the next one's turn begins when they sleep.
PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Settings:
    command: Path
    #: Commands and variables by name.
    peers: dict[str, tuple[list[str], dict[str, str]]]
    sizes: list[int]
    in_dim: int
    out_dim: int
    threads: int
    rounds: int
    seconds: float
    #: A call that takes longer than so many seconds is not worth a figure.
    longest: float


def ceilings(settings):
    command = [str(settings.command), "bench", "--ceilings", "--json", "--seconds", "0.2"]
    output = subprocess.run(
        [*command, "--threads", str(settings.threads)], check=True, capture_output=True, text=True
    ).stdout
    return [json.loads(line) for line in output.splitlines()]


def measure(settings, layer, encoding):
    """The cells of a layer and an encoding, the ceilings measured beside them, and what failed."""
    print(f"{layer} {encoding}: setting up", file=sys.stderr)
    begin = time.monotonic()
    found = ceilings(settings)
    runners, failures = start(settings, layer, encoding)
    print(f"{layer} {encoding}: {len(runners)} to time after {time.monotonic() - begin:.0f} s", file=sys.stderr)
    cells = []
    reader = None
    try:
        # With one row a call reads the weights and does little else: a loop that only reads has its turn too.
        reader = start_reading(settings) if 1 in settings.sizes else None
        expected = dict.fromkeys((runner.name for runner in runners), 0.0)
        for rows in settings.sizes:
            turns = {}
            for runner in runners:
                # Time grows with M at most in proportion.
                if expected[runner.name] * rows > settings.longest:
                    failures.append(f"M={rows}: {runner.name}: left out, too slow for --longest")
                else:
                    turns[runner.name] = []
            readings = []
            for _ in range(settings.rounds):
                if rows == 1:
                    time.sleep(PAUSE_SECONDS)
                    readings.append(reader.time(rows, settings.seconds)["median_giga_per_second"])
                for runner in [runner for runner in runners if runner.name in turns]:
                    time.sleep(PAUSE_SECONDS)
                    try:
                        turns[runner.name].append(runner.time(rows, settings.seconds))
                    except RunnerFailed as failure:
                        failures.append(f"M={rows}: {failure}")
                        print(failure, file=sys.stderr)
                        runners.remove(runner)
                        runner.stop()
            for runner in runners:
                if turns.get(runner.name):
                    expected[runner.name] = turns[runner.name][-1]["seconds"] / rows
                    cells.append(cell(settings, layer, encoding, rows, runner, turns[runner.name]))
                    if runner.name == OWN and readings:
                        cells[-1]["reading"] = readings
    finally:
        if reader:
            reader.stop()
        for runner in runners:
            runner.stop()
    print(f"{layer} {encoding}: done after {time.monotonic() - begin:.0f} s", file=sys.stderr)
    return cells, found, failures


def cell(settings, layer, encoding, rows, runner, turns):
    found = {
        "layer": layer,
        "encoding": encoding,
        "M": rows,
        "K": settings.in_dim,
        "N": settings.out_dim,
        "threads": settings.threads,
        "name": runner.name,
        "peer": runner.peer,
        "rounds": [turn["seconds"] for turn in turns],
    }
    return found | {key: turns[-1][key] for key in ("kernel", "pack_gbs") if key in turns[-1]}
