"""The processes that are timed: maxlinear's command and one script a peer, each answering requests line by line."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue

from peers.formats import BLOCKS
from peers.max_linear import SCALES as MAX_BLOCKS
from peers.max_linear import environment as max_environment

LAYERS = ("linear", "mlp")
GPTQ = ("GPTQ-sym", "GPTQ-asym", "GPTQ-act-order")
OTHER_GPTQ = {f"GPTQ-{bits}": bits for bits in (2, 3, 8)}
ENCODINGS = ("f32", "bf16", *BLOCKS, *GPTQ, *OTHER_GPTQ)
#: Those that are timed when none are named.
DEFAULT_ENCODINGS = ("f32", "bf16", "Q4_0", "Q4_K", "Q5_K", "Q6_K", "Q8_0", *GPTQ)
#: Bits of an encoded weight; of GPTQ, a float16 scale and, without symmetry, a zero for each 128.
BITS = {"f32": 32, "bf16": 16, **{name: 8 * size / elements for name, (_, elements, size) in BLOCKS.items()}}
BITS |= {"GPTQ-sym": 4 + 16 / 128, "GPTQ-act-order": 4 + 16 / 128, "GPTQ-asym": 4 + 20 / 128}
BITS |= {name: bits + 16 / 128 for name, bits in OTHER_GPTQ.items()}
#: Up to so many copies of a layer have more together than the last-level cache.
MOST_COPIES = 16
LEAST_ROTATED_MIB = 256

SCRIPTS = Path(__file__).resolve().parent / "peers"
START_SECONDS = 600
ANSWER_SECONDS = 120


def matrices(layer):
    return 1 if layer == "linear" else 3


def rotated_mib():
    """Half as much again as the last-level cache, where Linux knows it."""
    sizes = [path.read_text().strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    kib = [int(size[:-1]) for size in sizes if size.endswith("K")]
    return max(LEAST_ROTATED_MIB, max(kib, default=0) * 3 // 2 >> 10)


def weight_bytes(layer, encoding, in_dim, out_dim):
    return matrices(layer) * in_dim * out_dim * BITS[encoding] / 8


@dataclass(frozen=True)
class Peer:
    """A script, the environment that it runs in, and what it can do."""

    script: str
    folder: str
    encodings: tuple[str, ...]

    def found(self, peers):
        """The start of its command and its variables; None when it is not installed."""
        python = (peers / self.folder / "bin" / "python").absolute()
        if not python.exists():
            return None
        variables = {}
        if self.folder == "max":
            try:
                variables = max_environment(peers / "max")
            except (IndexError, OSError, ValueError):
                return None
        if self.folder == "ggml":
            libraries = (peers / "ggml" / "libggml").absolute()
            if not libraries.exists():
                return None
            variables = {"MAXLINEAR_BENCH_GGML": str(libraries), "LD_LIBRARY_PATH": str(libraries)}
        return [str(python), str(SCRIPTS / self.script)], variables


PEERS = {
    "max": Peer("max_linear.py", "max", ("f32", "bf16", *MAX_BLOCKS)),
    "torch": Peer("torch_linear.py", "ref", ("f32", "bf16", *GPTQ)),
    "onnxruntime": Peer("onnxruntime_linear.py", "ref", ("f32", *GPTQ)),
    "openvino": Peer("openvino_linear.py", "ref", ("f32", "bf16", *GPTQ, "GPTQ-8")),
    "ggml": Peer("ggml_linear.py", "ggml", ("f32", "bf16", *BLOCKS)),
}


class RunnerFailed(Exception):
    """A process ended, or did not answer in time."""


class Runner:
    """One process with one layer in it, which runs in its own turns alone: some peers' threads spin for seconds after a call."""

    def __init__(self, name, command, variables, takes_json):
        self.name = name
        self.peer = name
        self.takes_json = takes_json
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore", **variables},
        )
        self.lines = Queue()
        self.errors = []
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            # Libraries may print too.
            if line.startswith("{"):
                self.lines.put(line)
        self.lines.put(None)

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors = [*self.errors[-9:], line.rstrip()]

    def _answer(self, seconds):
        try:
            line = self.lines.get(timeout=seconds)
        except Empty:
            raise RunnerFailed(f"{self.name}: no answer in {seconds} s") from None
        if line is None:
            raise RunnerFailed(f"{self.name}: ended: {' | '.join(self.errors[-3:])}")
        return json.loads(line)

    def wait_until_ready(self):
        self.peer = self._answer(START_SECONDS)["peer"]
        self.process.send_signal(signal.SIGSTOP)

    def time(self, rows, seconds):
        """What a turn gave: seconds of the median call, and whatever else the process says."""
        request = json.dumps({"M": rows, "seconds": seconds}) if self.takes_json else f"{rows} {seconds}"
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
        except OSError:
            raise RunnerFailed(f"{self.name}: ended: {' | '.join(self.errors[-3:])}") from None
        found = self._answer(ANSWER_SECONDS)
        self.process.send_signal(signal.SIGSTOP)
        return found

    def stop(self):
        self.process.kill()
        self.process.wait()


def start_reading(settings):
    """The loop that only reads memory, once it is ready."""
    own = ["bench", "--ceilings", "--requests", "--json", "--threads", str(settings.threads)]
    runner = Runner("reading", [str(settings.command), *own], {}, takes_json=False)
    runner.wait_until_ready()
    return runner


def start(settings, layer, encoding):
    """All that can run this layer, maxlinear first, once they are ready; and what could not be started."""
    size = weight_bytes(layer, encoding, settings.in_dim, settings.out_dim)
    copies = int(max(1, min(MOST_COPIES, -(-(rotated_mib() << 20) // size))))
    shape = {"K": settings.in_dim, "N": settings.out_dim}
    case = {"layer": layer, "encoding": encoding, "threads": settings.threads, "copies": copies, **shape}
    own = ["bench", "--requests", "--json", "--layer", layer, "--encoding", encoding, "--threads", settings.threads]
    own += ["--k", settings.in_dim, "--n", settings.out_dim, "--rotate", rotated_mib(), "--copies", MOST_COPIES]
    command = [str(settings.command), *map(str, own)]
    runners = [Runner("maxlinear", command, {}, takes_json=False)]
    for name, (command, variables) in settings.peers.items():
        if encoding in PEERS[name].encodings:
            runners.append(Runner(name, [*command, json.dumps(case)], variables, takes_json=True))
    ready, failures = [], []
    for runner in runners:
        try:
            runner.wait_until_ready()
            ready.append(runner)
        except RunnerFailed as failure:
            failures.append(str(failure))
            print(failure, file=sys.stderr)
            runner.stop()
    return ready, failures
