"""Results as rooflines: one small plot an encoding, speed over operations for each byte of weights."""

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot

from results import OWN, gflops, intensity
from runners import ENCODINGS

COLUMNS = 5
COLOURS = {
    OWN: "tab:red",
    "max": "tab:blue",
    "torch": "tab:orange",
    "onnxruntime": "tab:green",
    "openvino": "tab:purple",
    "ggml": "tab:brown",
}


def draw(results, layer, path):
    """Writes the plots of a layer; returns the path, or None when there is nothing to draw."""
    drawn = [(encoding, results.of(layer, encoding)) for encoding in ENCODINGS]
    drawn = [(encoding, found) for encoding, found in drawn if found]
    if not drawn:
        return None
    lines = -(-len(drawn) // COLUMNS)
    columns = min(COLUMNS, len(drawn))
    figure, axes = pyplot.subplots(
        lines, columns, figsize=(2.6 * columns + 0.6, 2.3 * lines + 0.9), squeeze=False, sharey=True
    )
    known = {}
    for axis, (encoding, found) in zip(axes.flat, drawn, strict=False):
        known |= draw_encoding(axis, results, encoding, found)
    for axis in axes.flat[len(drawn) :]:
        axis.set_visible(False)
    figure.supxlabel("operations for each byte of encoded weights (the points are M = 1, ...)", fontsize=9)
    figure.supylabel("GFLOP/s", fontsize=9)
    names = sorted(known)
    legend_columns = 1 + columns
    legend_lines = -(-len(names) // legend_columns)
    figure.legend(
        [known[name] for name in names], names, loc="upper center", ncols=legend_columns, fontsize=8, frameon=False
    )
    figure.tight_layout(rect=(0, 0, 1, 1 - (0.1 + 0.2 * legend_lines) / figure.get_figheight()))
    figure.savefig(path, dpi=80, metadata={"Software": None})
    pyplot.close(figure)
    return path


def draw_encoding(axis, results, encoding, found):
    """The lines of one encoding, by the names for the legend."""
    known = {}
    names = {name: cell["peer"] for cells in found.values() for name, cell in cells.items()}
    for name in sorted(names, key=lambda name: (name == OWN, name)):
        cells = [cells[name] for cells in found.values() if name in cells]
        thick = name == OWN
        (line,) = axis.plot(
            [intensity(cell) for cell in cells],
            [gflops(cell) for cell in cells],
            "o-" if thick else ".-",
            color=COLOURS.get(name),
            linewidth=1.6 if thick else 1,
            markersize=4 if thick else 5,
        )
        known[names[name]] = line
    reach = [intensity(cell) for cells in found.values() for cell in cells.values()]
    ceiling, bandwidth = results.ceiling(encoding), results.bandwidth
    if ceiling and bandwidth:
        ridge = ceiling / bandwidth
        points = sorted({min(reach) / 1.5, ridge, max(max(reach) * 1.5, ridge * 1.5)})
        (line,) = axis.plot(points, [min(ceiling, bandwidth * point) for point in points], "k--", linewidth=0.8)
        known["the machine's ceilings"] = line
    axis.set(xscale="log", yscale="log")
    axis.set_title(encoding, fontsize=9)
    axis.tick_params(labelsize=7)
    axis.grid(True, which="major", linewidth=0.3)
    return known
