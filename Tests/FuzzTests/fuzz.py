"""Runs the fuzzers: first the inputs that once found something, then new ones for a while. `fuzz.py --seconds 3600
--executions 10000000 [FUZZER ...]`.

What is learnt stays in build/fuzz/corpus, what is found in build/fuzz/found. Exits 1 when anything was found.
"""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import seeds

BUILD = Path(__file__).resolve().parents[2] / "build" / "fuzz"
FUZZERS = sorted(path.stem for path in Path(__file__).parent.glob("*.cpp"))
#: A file's parser may not take more memory than this, whatever the file's header says.
LIMITS = ["-rss_limit_mb=2048", "-malloc_limit_mb=256", "-timeout=30"]
#: Bytes of the longest input.
MOST = {
    "gguf": 4096,
    "safetensors": 4096,
    "index": 1024,
    "config": 1024,
    "npy": 512,
    "variants": 2048,
    "dequantize": 1024,
}
#: Bytes of a finding that are shown; the file has them all.
SHOWN = 1024


def run(name, arguments):
    environment = os.environ | {"OMP_WAIT_POLICY": "passive", "MAXLINEAR_NUM_THREADS": "2"}
    command = [BUILD / name, *LIMITS, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, errors="replace", env=environment)


def number(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def fuzz(name, seconds, executions, seed):
    """A line about one fuzzer, and what it found: nothing, or its last words."""
    corpus, found = BUILD / "corpus" / name, BUILD / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    kept = [BUILD / "seeds" / name / stem for stem, _ in seeds.kept(name)]
    if kept:
        done = run(name, kept)
        if done.returncode != 0:
            return f"{name:12} {len(kept)} kept inputs", done.stderr[-8000:]
    before = set(found.glob(f"{name}-*"))
    done = run(
        name,
        [
            f"-max_total_time={seconds}",
            f"-runs={executions}",
            f"-seed={seed}",
            f"-max_len={MOST.get(name, 4096)}",
            f"-artifact_prefix={found}/{name}-",
            "-print_final_stats=1",
            corpus,
            BUILD / "seeds" / name,
        ],
    )
    text = done.stderr
    executed, rate, edges = (
        number(pattern, text)
        for pattern in (r"executed_units:\s*(\d+)", r"average_exec_per_sec:\s*(\d+)", r"cov: (\d+)")
    )
    line = (
        f"{name:12} {executed:10,} executions, {rate:6,} a second, {edges:6,} edges,"
        f" {len(list(corpus.iterdir())):5,} inputs in the corpus"
    )
    if done.returncode == 0:
        return line, None
    words = text[-8000:]
    for path in sorted(set(found.glob(f"{name}-*")) - before):
        words += f"\n{path}: {path.read_bytes()[:SHOWN].hex()}"
    return line, words or f"exit status {done.returncode}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each fuzzer, at most")
    parser.add_argument("--executions", type=int, default=-1, help="of each fuzzer, at most; -1 for no limit")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers; 0 for another in each run")
    parser.add_argument("--jobs", type=int, default=2, help="fuzzers at a time")
    parser.add_argument("fuzzers", nargs="*", help="all: " + ", ".join(FUZZERS))
    options = parser.parse_args()
    chosen = options.fuzzers or FUZZERS
    if unknown := set(chosen) - set(FUZZERS):
        parser.error(f"no such fuzzer: {', '.join(sorted(unknown))}; there are {', '.join(FUZZERS)}")
    seeds.write(BUILD / "seeds")
    findings = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for line, words in pool.map(lambda name: fuzz(name, options.seconds, options.executions, options.seed), chosen):
            print(line, flush=True)
            if words is not None:
                findings += 1
                print(words, flush=True)
    print(f"{len(chosen)} fuzzers, {findings} with a finding")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
