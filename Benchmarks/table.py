"""Results as Markdown."""

from results import OWN, best_peer, gflops, ratio, reading_share, spread, weight_gbs
from runners import ENCODINGS, LAYERS

BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"
NOTHING = "-"


def number(value, digits=None):
    if value is None:
        return NOTHING
    return f"{value:.{(0 if value >= 100 else 1) if digits is None else digits}f}"


def percent(value, whole):
    return NOTHING if value is None or not whole else f"{100 * value / whole:.0f} %"


def row(columns):
    return "| " + " | ".join(columns) + " |\n"


def heading(names):
    return row(names) + row(["---"] * len(names))


def about(results):
    """What was measured where, in one paragraph."""
    threads = sorted({cell["threads"] for cell in results.cells})
    shapes = sorted({(cell["K"], cell["N"]) for cell in results.cells})
    counted = sorted({len(cell["rounds"]) for cell in results.cells} or {0})
    rounds = counted[0] if len(counted) == 1 else f"{counted[0]} to {counted[-1]}"
    peers = sorted({cell["peer"] for cell in results.cells if cell["name"] != OWN})
    where = ", ".join(f"K={in_dim}, N={out_dim}" for in_dim, out_dim in shapes)
    counts = ", ".join(map(str, threads))
    ceilings = ", ".join(
        f"{kind} {number(found['giga_per_second'])} {'GB/s' if kind == 'read' else 'GOP/s'} ({found['instructions']})"
        for kind, found in sorted(results.ceilings.items())
    )
    return (
        f"{results.machine}, threads: {counts}; {where}; {results.date}. Medians of {rounds} rounds taken in turn.\n"
        f"Ceilings: {ceilings or 'not measured'}.\nPeers: {', '.join(peers) or 'none'}.\n"
    )


def every_cell(results):
    """One line a cell: ours, the best peer, their ratio, and our share of what the machine can do."""
    names = [
        "layer",
        "encoding",
        "M",
        "maxlinear GFLOP/s",
        "rounds",
        "best peer",
        "its GFLOP/s",
        "ratio",
        "of the ceiling",
    ]
    text = about(results) + "\n" + heading([*names, "weights GB/s", "of reading"])
    for layer in LAYERS:
        for encoding in ENCODINGS:
            for size, cells in results.of(layer, encoding).items():
                text += cell_line(results, layer, encoding, size, cells)
    if results.failures:
        text += "\nNot timed:\n\n" + "".join(f"- {failure}\n" for failure in results.failures)
    return text


def cell_line(results, layer, encoding, size, cells):
    own, peer = cells.get(OWN), best_peer(cells)
    columns = [layer, encoding, str(size)]
    if own:
        low, high = spread(own)
        columns += [number(gflops(own)), f"{number(low)} to {number(high)}"]
    else:
        columns += [NOTHING, NOTHING]
    columns += [peer["peer"], number(gflops(peer))] if peer else [NOTHING, NOTHING]
    columns.append(number(ratio(own, peer), 2) if own and peer else NOTHING)
    if own:
        rate = weight_gbs(own)
        share = percent(reading_share(own, results.bandwidth), 1) if size == 1 else NOTHING
        columns += [percent(gflops(own), results.ceiling(encoding)), number(rate), share]
    else:
        columns += [NOTHING, NOTHING, NOTHING]
    return row(columns)


def summary(results):
    """One line a layer and encoding: GFLOP/s at each M and, in parentheses, times the best peer; then shares."""
    sizes = sorted({cell["M"] for cell in results.cells})
    text = about(results)
    text += "GFLOP/s, in parentheses times the fastest peer's, the median of the rounds' ratios; the last columns are shares of the ceilings.\n"
    if any("reading" in cell for cell in results.cells):
        text += "Reading at M=1 is the share of what a loop that only reads had in turn, the median of the rounds.\n"
    text += "\n"
    last = [f"reading at M={sizes[0]}", f"arithmetic at M={sizes[-1]}"] if sizes else []
    text += heading(["layer", "encoding", *(f"M={size}" for size in sizes), *last])
    for layer in LAYERS:
        for encoding in ENCODINGS:
            found = results.of(layer, encoding)
            if any(OWN in cells for cells in found.values()):
                columns = [summary_cell(found.get(size, {})) for size in sizes]
                text += row([layer, encoding, *columns, *shares(results, encoding, found, sizes)])
    return text


def summary_cell(cells):
    own, peer = cells.get(OWN), best_peer(cells)
    if not own:
        return NOTHING
    speed = gflops(own)
    return number(speed, 1 if speed < 10 else 0) + (f" ({ratio(own, peer):.2f})" if peer else "")


def shares(results, encoding, found, sizes):
    first, last = (found.get(size, {}).get(OWN) for size in (sizes[0], sizes[-1]))
    return [
        percent(reading_share(first, results.bandwidth), 1) if first else NOTHING,
        percent(gflops(last), results.ceiling(encoding)) if last else NOTHING,
    ]


def filled(text, summary):
    """README.md's text with the summary between its markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"README.md: expected {BEGIN} and {END} around the table's place")
    return f"{before}{BEGIN}\n{summary}{END}{after}"
