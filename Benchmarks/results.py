"""What was measured: cells, the ceilings beside them, and the machine, as one JSON file."""

import json
import platform
import statistics
from dataclasses import dataclass, field
from datetime import date

from runners import matrices, weight_bytes

OWN = "maxlinear"
#: Codes so small that products may be summed as int16 where the CPU has no better instruction.
SMALL_CODES = ("Q4_0", "Q4_1", "Q4_K", "Q2_K", "Q3_K", "MXFP4")
SMALL_CODES += ("GPTQ-sym", "GPTQ-asym", "GPTQ-act-order", "GPTQ-2", "GPTQ-3")


def cpu_model():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


@dataclass
class Results:
    cells: list[dict] = field(default_factory=list)
    #: By kind: the best rate that any measurement found.
    ceilings: dict[str, dict] = field(default_factory=dict)
    #: What could not be timed, and why.
    failures: list[str] = field(default_factory=list)
    machine: str = field(default_factory=cpu_model)
    date: str = field(default_factory=lambda: date.today().isoformat())

    @classmethod
    def read(cls, path):
        return cls(**json.loads(path.read_text()))

    def write(self, path):
        text = json.dumps(self.__dict__, indent=1)
        path.write_text(text + "\n")

    def replace(self, layer, encoding, cells, ceilings, failures):
        """Takes the cells of this layer and encoding in place of those it has."""
        measured = {(layer, encoding, cell["M"]) for cell in cells}
        self.cells = [
            cell for cell in self.cells if (cell["layer"], cell["encoding"], cell["M"]) not in measured
        ] + cells
        about = f"{layer} {encoding}: "
        self.failures = [failure for failure in self.failures if not failure.startswith(about)]
        self.failures += [about + failure for failure in failures]
        for found in ceilings:
            kind = found["ceiling"]
            if found["giga_per_second"] > self.ceilings.get(kind, {}).get("giga_per_second", 0):
                self.ceilings[kind] = {key: found[key] for key in ("instructions", "giga_per_second", "threads")}

    def of(self, layer, encoding):
        """Cells of one layer and encoding: by M, then by name."""
        found = {}
        for cell in self.cells:
            if cell["layer"] == layer and cell["encoding"] == encoding:
                found.setdefault(cell["M"], {})[cell["name"]] = cell
        return dict(sorted(found.items()))

    def ceiling(self, encoding):
        """GFLOP/s that the encoding's arithmetic could reach at most; None where nothing was measured."""
        kinds = {"f32": ["f32"], "bf16": ["bf16"]}.get(encoding, ["int8"])
        if encoding == "bf16" and "bf16" not in self.ceilings:
            kinds = ["f32"]
        if encoding in SMALL_CODES:
            kinds = [*kinds, "int8 of 4-bit codes"]
        rates = [self.ceilings[kind]["giga_per_second"] for kind in kinds if kind in self.ceilings]
        return max(rates, default=None)

    @property
    def bandwidth(self):
        """GB/s; None where nothing was measured."""
        return self.ceilings.get("read", {}).get("giga_per_second")


def seconds(cell):
    """The median of the rounds."""
    return statistics.median(cell["rounds"])


def operations(cell):
    return 2 * cell["M"] * cell["K"] * cell["N"] * matrices(cell["layer"])


def gflops(cell):
    return operations(cell) / seconds(cell) / 1e9


def spread(cell):
    """GFLOP/s of the slowest and the fastest round."""
    return tuple(operations(cell) / time / 1e9 for time in (max(cell["rounds"]), min(cell["rounds"])))


def weight_gbs(cell):
    """GB/s at which encoded weights are taken in."""
    return weight_bytes(cell["layer"], cell["encoding"], cell["K"], cell["N"]) / seconds(cell) / 1e9


def reading_share(cell, bandwidth):
    """Of a cell's weights a second in what a loop that only reads had: the median over rounds taken in turn, else of the best reading."""
    if not cell.get("reading"):
        return weight_gbs(cell) / bandwidth if bandwidth else None
    size = weight_bytes(cell["layer"], cell["encoding"], cell["K"], cell["N"])
    rounds = zip(cell["rounds"], cell["reading"], strict=False)
    return statistics.median(size / time / 1e9 / reading for time, reading in rounds)


def intensity(cell):
    """Operations for each byte of encoded weights."""
    return operations(cell) / weight_bytes(cell["layer"], cell["encoding"], cell["K"], cell["N"])


def best_peer(cells):
    """The fastest of the others in a cell; None when there is none."""
    peers = [cell for name, cell in cells.items() if name != OWN]
    return min(peers, key=seconds, default=None)


def ratio(own, peer):
    """How many times as fast as the peer: the median over rounds taken in turn. Memory and clocks drift between rounds, so that it says more than the
    ratio of the two speeds."""
    return statistics.median(theirs / ours for ours, theirs in zip(own["rounds"], peer["rounds"], strict=False))
