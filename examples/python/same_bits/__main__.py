"""Runs the gated MLP of one GGUF file from C, C++, Swift and Python, on one and two threads, on the plainest and on the best kernels of
this CPU, and shows that all give the same bytes."""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
EXAMPLES = ROOT / "examples"
BUILD = ROOT / "build"
LIBRARY = BUILD / "lib"
#: TinyLlama's shapes.
HIDDEN, LENGTH = 2048, 5632
ROWS = 5


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="same_bits", description=__doc__)
    parser.add_argument(
        "--model", type=Path, help="a GGUF or safetensors file of one's own, in place of random weights"
    )
    parser.add_argument("--layer", type=int, default=0, help="the number of the layer in it (default 0)")
    return parser.parse_args()


def write_model(path: Path) -> None:
    """A layer's MLP with the names and shapes of a Llama checkpoint, Q4_K."""
    import gguf
    import numpy as np

    import maxlinear

    random = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path, "llama")
    for name, shape in (("gate", (LENGTH, HIDDEN)), ("down", (HIDDEN, LENGTH)), ("up", (LENGTH, HIDDEN))):
        weight = random.standard_normal(shape, np.float32) / np.float32(shape[1] ** 0.5)
        blocks = maxlinear.quantize(weight, "Q4_K")
        writer.add_tensor(f"blk.0.ffn_{name}.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_x(path: Path, model: Path, layer: int) -> None:
    """Random activations, some channels of them large, as in real models."""
    import numpy as np

    from maxlinear.graph.weights import load_weights
    from maxlinear.nn import MLPV2

    hidden = MLPV2.from_weights(load_weights(model), layer).hidden_dim
    random = np.random.default_rng(2)
    x = random.standard_normal((ROWS, hidden), np.float32)
    x[:, :: max(1, hidden // 4)] *= 50
    x.tofile(path)


def run(command: list[str], **environment: str) -> str:
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment}
    )
    if result.returncode != 0:
        sys.exit(f"same_bits: {' '.join(command)}: {result.stdout}{result.stderr}")
    return result.stdout


def programs(folder: Path) -> dict[str, list[str]]:
    """The command of each language, built where it must be."""
    link = [f"-I{ROOT / 'include'}", f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY}", "-lmaxlinear", "-O2", "-o"]
    run(["cc", "-std=c11", str(EXAMPLES / "c" / "mlp.c"), *link, str(folder / "c")])
    run(["c++", "-std=c++20", str(EXAMPLES / "cpp" / "mlp.cpp"), *link, str(folder / "cpp")])
    swift = [str(ROOT / "scripts" / "swift"), str(BUILD / "example-swift"), "build"]
    swift += ["--package-path", str(EXAMPLES / "swift"), "--product", "mlp"]
    run(swift)
    binary = Path(run([*swift, "--show-bin-path"]).strip().splitlines()[-1]) / "mlp"
    return {
        "C": [str(folder / "c")],
        "C++": [str(folder / "cpp")],
        "Swift": [str(binary)],
        "Python": [sys.executable, str(EXAMPLES / "python" / "mlp.py")],
    }


def main() -> int:
    options = arguments()
    sys.path.insert(0, str(ROOT / "bindings" / "python" / "src"))
    try:
        import maxlinear

        folder = BUILD / "same_bits"
        folder.mkdir(parents=True, exist_ok=True)
        model = options.model or folder / "llama.gguf"
        if options.model is None:
            write_model(model)
        write_x(folder / "x", model, options.layer)
    except ImportError as error:
        sys.exit(f"same_bits: {error}\nsame_bits: `make demo` installs what this needs")
    except maxlinear.Error as error:
        sys.exit(f"same_bits: {error}")

    available = maxlinear.cpu_info()["isa"]["available"]
    print(f"\n{model.name}, layer {options.layer}: one MLP, {ROWS} rows of x\n")
    print("language  threads  kernels   seconds  SHA-256 of y")
    sums = set()
    for language, command in programs(folder).items():
        for threads in (1, 2):
            for isa in (available[0], available[-1]):
                output = folder / "y"
                output.unlink(missing_ok=True)
                call = [
                    *command,
                    str(model),
                    str(options.layer),
                    str(ROWS),
                    str(folder / "x"),
                    str(output),
                    str(threads),
                ]
                started = time.perf_counter()
                run(call, MAXLINEAR_ISA=isa, PYTHONPATH=str(ROOT / "bindings" / "python" / "src"))
                seconds = time.perf_counter() - started
                digest = hashlib.sha256(output.read_bytes()).hexdigest()
                sums.add(digest)
                print(f"{language:<8}  {threads:>7}  {isa:<8}  {seconds:7.2f}  {digest[:16]}...")
    print(f"\n{'all give' if len(sums) == 1 else 'THEY DIFFER:'} {' '.join(sorted(sums))}")
    return 0 if len(sums) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
