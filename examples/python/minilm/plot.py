"""The encodings of MiniLM's weights as a plot: bytes against likeness."""

from __future__ import annotations

from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import Bbox

if TYPE_CHECKING:
    from collections.abc import Sequence


#: Where a label may lie beside its point, in points, the first that is free.
PLACES = ((5, -3), (-5, -3), (0, 6), (0, -12), (6, 5), (-6, 5), (6, -11), (-6, -11), (10, 10), (-10, 10))


def label(axis: Any, text: str, at: tuple[float, float], taken: list[Any]) -> None:
    """Writes beside a point where nothing is yet."""
    for place in PLACES:
        side = "left" if place[0] > 0 else "right" if place[0] < 0 else "center"
        note = axis.annotate(text, at, place, textcoords="offset points", fontsize=8, ha=side)
        box = note.get_window_extent()
        if place == PLACES[-1] or not any(box.overlaps(other) for other in taken):
            taken.append(box)
            return
        note.remove()


def draw(found: Sequence[Any], path: Path) -> None:
    """Writes a PNG. found: each with `encoding`, `megabytes` and `cosine`; float32, to which all are compared, has no place on the scale."""
    figure, axis = pyplot.subplots(figsize=(7.5, 5))
    most = max(found, key=lambda one: one.megabytes)
    points = [(one.megabytes, max(1 - one.cosine, 1e-9)) for one in found if one is not most]
    names = [one.encoding for one in found if one is not most]
    axis.plot(*zip(*points, strict=True), "o", color="tab:red", markersize=4)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.invert_yaxis()
    axis.margins(0.08)
    ticks = [5, 6, 7, 8, 10, 12, 15, 20]
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.yaxis.set_major_formatter(
        FuncFormatter(lambda distance, _: f"{1 - distance:.{max(0, round(-log10(distance)))}f}")
    )
    axis.set_xlabel(f"packed weights of the linear layers, MB ({most.encoding}: {most.megabytes:.1f})")
    axis.set_ylabel("least cosine to float32")
    axis.set_title("MiniLM in every encoding", fontsize=10)
    axis.grid(alpha=0.3, which="major")
    figure.tight_layout()
    figure.canvas.draw()
    marks = [axis.transData.transform(point) for point in points]
    taken: list[Any] = [Bbox.from_bounds(x - 3, y - 3, 6, 6) for x, y in marks]
    for name, point in zip(names, points, strict=True):
        label(axis, name, point, taken)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
