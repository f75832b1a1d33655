"""Draws docs/images/encodings.png from the table of docs/CHOOSE_ENCODING.md: bits a weight against error and against speed.

encodings_plot.py [PNG]
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.transforms import Bbox

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "CHOOSE_ENCODING.md"
IMAGE = ROOT / "docs" / "images" / "encodings.png"


def beside(axis: Any, rows: list[dict[str, str]], points: list[tuple[float, float]]) -> None:
    """Writes the names where nothing is yet, as MiniLM's plot does."""
    spec = importlib.util.spec_from_file_location("minilm_plot", ROOT / "examples" / "python" / "minilm" / "plot.py")
    if spec is None or spec.loader is None:
        raise ImportError("examples/python/minilm/plot.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    marks = [axis.transData.transform(point) for point in points]
    taken: list[Any] = [Bbox.from_bounds(x - 3, y - 3, 6, 6) for x, y in marks]
    for row, point in zip(rows, points, strict=True):
        module.label(axis, row["encoding"], point, taken)


def table() -> list[dict[str, str]]:
    """The page's table, a dictionary for each encoding."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    heads, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(heads, row, strict=True)) for row in rows if len(row) == len(heads)]


def draw(path: Path) -> None:
    """Writes a PNG."""
    rows = table()
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 6))
    rounded = [row for row in rows if float(row["error"]) > 0]
    timed = [row for row in rows if row["M=1"] != "-"]
    left.set_yscale("log")
    left.invert_yaxis()
    left.set_ylabel("root mean square error on Gaussian weights")
    right.set_ylabel("GFLOP/s, two threads, K=4096, N=14336")
    named = [
        (left, rounded, plot(left, rounded, "error", "tab:red")),
        (right, timed, plot(right, timed, "M=1", "tab:blue")),
    ]
    plot(right, timed, "M=512", "tab:orange")
    right.legend()
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        axis.set_xticks([3, 4, 5, 6, 8, 16, 32], ["3", "4", "5", "6", "8", "16", "32"])
        axis.minorticks_off()
        axis.set_xlabel("bits a weight")
        axis.margins(0.08)
        axis.grid(alpha=0.3)
    left.set_xlim(2.4, 20)
    figure.tight_layout()
    figure.canvas.draw()
    for axis, of, points in named:
        beside(axis, of, points)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def plot(axis: Any, rows: list[dict[str, str]], column: str, color: str) -> list[tuple[float, float]]:
    """Draws a column against the bits of a weight. Returns the points."""
    points = [(float(row["bits a weight"]), float(row[column])) for row in rows]
    axis.plot(*zip(*points, strict=True), "o", color=color, markersize=4, label=column)
    return points


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGE)
