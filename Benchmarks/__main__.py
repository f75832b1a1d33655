"""The speed table: `python Benchmarks` times maxlinear and its peers in turn; `python Benchmarks --render results.json` draws it again.

Writes results.json, table.md (each cell), summary.md (for README.md), linear.png and mlp.png into the folder of the results. With --readme, the
summary goes between README.md's markers, and linear.png to docs/images/speed.png.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

import plot
import table
from measure import Settings, measure
from results import Results
from runners import DEFAULT_ENCODINGS, ENCODINGS, LAYERS, PEERS

ROOT = Path(__file__).resolve().parents[1]


def chosen(known):
    """A parser of comma lists of known names; "all" is all of them."""

    def parse(text):
        names = list(known) if text == "all" else [name for name in text.split(",") if name]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f'"{name}" is none of {", ".join(known)}')
        return names

    return parse


def sizes(text):
    numbers = [int(part) for part in text.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError("expected numbers of 1 or more")
    return sorted(numbers)


def arguments():
    parser = argparse.ArgumentParser(
        prog="Benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--layers", type=chosen(LAYERS), default=list(LAYERS))
    parser.add_argument(
        "--encodings", type=chosen(ENCODINGS), default=list(DEFAULT_ENCODINGS), help=f"of {', '.join(ENCODINGS)}"
    )
    parser.add_argument("--m", type=sizes, default=[1, 4, 8, 16, 32, 128, 512], help="rows of x")
    parser.add_argument("--k", type=int, default=4096)
    parser.add_argument("--n", type=int, default=14336)
    parser.add_argument("--peers", type=chosen(PEERS), default=list(PEERS), help="an empty list times maxlinear alone")
    parser.add_argument("--rounds", type=int, default=3, help="how often each has its turn")
    parser.add_argument("--seconds", type=float, default=0.3, help="of each turn")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--longest", type=float, default=8, help="seconds of one call that are too many to time it")
    parser.add_argument("--quick", action="store_true", help="M = 1, 32, 512, two short rounds, linear layers alone")
    parser.add_argument("--keep", action="store_true", help="keep the cells of --results that this run does not time")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "bench" / "results.json")
    parser.add_argument("--peers-dir", type=Path, default=Path(os.environ.get("PEERS_DIR") or ROOT / "build" / "peers"))
    parser.add_argument("--command", type=Path, default=ROOT / "build" / "release" / "release" / "maxlinear-cli")
    parser.add_argument("--render", type=Path, metavar="RESULTS", help="time nothing")
    parser.add_argument("--readme", action="store_true", help="also fill README.md's table and docs/images/speed.png")
    options = parser.parse_args()
    if options.quick:
        options.layers, options.m, options.rounds, options.seconds = ["linear"], [1, 32, 512], 2, 0.15
    return options


def settings(options):
    peers = {name: PEERS[name].found(options.peers_dir) for name in options.peers}
    for name, command in peers.items():
        if command is None:
            print(f"Benchmarks: {name} is not installed under {options.peers_dir}", file=sys.stderr)
    return Settings(
        command=options.command,
        peers={name: command for name, command in peers.items() if command is not None},
        sizes=options.m,
        in_dim=options.k,
        out_dim=options.n,
        threads=options.threads,
        rounds=options.rounds,
        seconds=options.seconds,
        longest=options.longest,
    )


def render(results, folder, into_readme):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(table.every_cell(results))
    summary = table.summary(results)
    (folder / "summary.md").write_text(summary)
    drawn = [plot.draw(results, layer, folder / f"{layer}.png") for layer in LAYERS]
    print(summary)
    print("\n".join(str(path) for path in [folder / "table.md", folder / "summary.md", *filter(None, drawn)]))
    if into_readme:
        picture = ROOT / "docs" / "images" / "speed.png"
        picture.parent.mkdir(exist_ok=True)
        shutil.copyfile(folder / f"{LAYERS[0]}.png", picture)
        readme = ROOT / "README.md"
        shown = f"{summary}\n![Rooflines of linear layers, an encoding each]({picture.relative_to(ROOT)})\n"
        readme.write_text(table.filled(readme.read_text(), shown))


def main():
    options = arguments()
    if options.render:
        render(Results.read(options.render), options.render.parent, options.readme)
        return
    results = Results.read(options.results) if options.keep and options.results.exists() else Results()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    # All processes inherit it: MAX takes as many threads as it has CPUs.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    chosen_settings = settings(options)
    for layer in options.layers:
        for encoding in options.encodings:
            results.replace(layer, encoding, *measure(chosen_settings, layer, encoding))
            results.write(options.results)
    render(results, options.results.parent, options.readme)


main()
