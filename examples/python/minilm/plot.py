"""The encodings of MiniLM's weights as a plot: bytes against likeness."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter

if TYPE_CHECKING:
    from collections.abc import Sequence


def draw(found: Sequence[Any], path: Path) -> None:
    """Writes a PNG. found: each with `encoding`, `megabytes` and `cosine`; what is float32 itself, of cosine 1, has no place on the scale."""
    figure, axis = pyplot.subplots(figsize=(7, 4.5))
    drawn = sorted((one for one in found if one.cosine < 1), key=lambda one: one.megabytes)
    axis.plot([one.megabytes for one in drawn], [1 - one.cosine for one in drawn], "o", color="tab:red", markersize=4)
    for place, one in enumerate(drawn):
        above = place % 2 == 0
        axis.annotate(
            one.encoding,
            (one.megabytes, 1 - one.cosine),
            (4, 5 if above else -10),
            textcoords="offset points",
            fontsize=8,
        )
    axis.set_yscale("log")
    axis.invert_yaxis()
    axis.yaxis.set_major_formatter(FuncFormatter(lambda distance, _: f"{1 - distance:.6g}"))
    most = max(one.megabytes for one in found)
    axis.set_xlabel(f"packed weights of the linear layers, MB (float32: {most:.1f})")
    axis.set_ylabel("least cosine to float32")
    axis.set_title("MiniLM in every encoding", fontsize=10)
    axis.grid(alpha=0.3, which="major")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
