"""Runs the gated MLP of a checkpoint from C, C++, Swift and Python: on one and two threads, on the plainest and on the best kernels of this
CPU, whole and divided among 1, 2 and 4 devices. Shows that all give the same bytes."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
EXAMPLES = ROOT / "examples"
BUILD = ROOT / "build"
LIBRARY = BUILD / "lib"
#: TinyLlama's shapes.
HIDDEN, LENGTH = 2048, 5632
ROWS = 5
DEVICES = (1, 2, 4)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="same_bits", description=__doc__)
    parser.add_argument(
        "--model", type=Path, help="a GGUF or safetensors file of one's own, in place of random weights"
    )
    parser.add_argument("--layer", type=int, default=0, help="the number of the layer in it (default 0)")
    return parser.parse_args()


def random_weights() -> Iterator[tuple[str, Array]]:
    """The three matrices of a Llama layer's MLP, by what GGUF and Hugging Face call them both."""
    import numpy as np

    random = np.random.default_rng(1)
    for name, shape in (("gate", (LENGTH, HIDDEN)), ("down", (HIDDEN, LENGTH)), ("up", (LENGTH, HIDDEN))):
        yield name, random.standard_normal(shape, np.float32) / np.float32(shape[1] ** 0.5)


def write_gguf(path: Path) -> None:
    """A GGUF file, Q4_K."""
    import gguf

    import maxlinear

    writer = gguf.GGUFWriter(path, "llama")
    for name, weight in random_weights():
        blocks = maxlinear.quantize(weight, "Q4_K")
        writer.add_tensor(f"blk.0.ffn_{name}.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_gptq(path: Path) -> None:
    """A folder's safetensors and quantize_config.json, groups of 128."""
    import safetensors.numpy

    import maxlinear
    from maxlinear.graph.quantization import QuantizationConfig

    config = QuantizationConfig("gptq", 4, 128, sym=False, checkpoint_format="gptq")
    path.parent.mkdir(exist_ok=True)
    tensors = {
        f"model.layers.0.mlp.{name}_proj.{key}": tensor
        for name, weight in random_weights()
        for key, tensor in maxlinear.quantize_gptq(weight, config).items()
    }
    safetensors.numpy.save_file(tensors, path)
    (path.parent / "quantize_config.json").write_text(json.dumps(dataclasses.asdict(config)))


def write_x(path: Path, model: Path, layer: int) -> list[int]:
    """Random activations, some channels of them large, as in real models. Returns the numbers of devices to divide it among: 0 for the
    undivided layer, then those that have work."""
    import numpy as np

    import maxlinear
    from maxlinear.graph import DeviceRef
    from maxlinear.graph.weights import load_weights
    from maxlinear.nn import MLPV2, DistributedMLP

    weights = load_weights(model)
    hidden = MLPV2.from_weights(weights, layer).hidden_dim
    random = np.random.default_rng(2)
    x = random.standard_normal((ROWS, hidden), np.float32)
    x[:, :: max(1, hidden // 4)] *= 50
    x.tofile(path)
    devices = [0]
    for count in DEVICES:
        try:
            DistributedMLP.from_weights(weights, layer, devices=[DeviceRef.CPU(index) for index in range(count)])
        except maxlinear.Error as error:
            print(f"not on {count} devices: {error}")
        else:
            devices.append(count)
    return devices


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
    run(["c++", "-std=c++17", str(EXAMPLES / "cpp" / "mlp.cpp"), *link, str(folder / "cpp")])
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


def digests(
    command: list[str], model: Path, layer: int, folder: Path, threads: int, devices: int, isa: str
) -> tuple[set[str], float]:
    """The SHA-256 of each device's y, and the seconds that the program took."""
    output = folder / "y"
    output.unlink(missing_ok=True)
    numbers = [str(layer), str(ROWS), str(folder / "x"), str(output), str(threads), str(devices)]
    started = time.perf_counter()
    run([*command, str(model), *numbers], MAXLINEAR_ISA=isa, PYTHONPATH=str(ROOT / "bindings" / "python" / "src"))
    seconds = time.perf_counter() - started
    written = output.read_bytes()
    size = len(written) // max(1, devices)
    parts = {hashlib.sha256(written[at : at + size]).hexdigest() for at in range(0, len(written), size)}
    return parts, seconds


def show(model: Path, layer: int, folder: Path, commands: dict[str, list[str]], variants: list[str]) -> bool:
    """Runs a checkpoint's MLP in every way and prints a line each. Whether all y are the same."""
    print(f"\n{model.name}, layer {layer}: one MLP, {ROWS} rows of x\n")
    counts = write_x(folder / "x", model, layer)
    print("language  devices  threads  kernels     seconds  SHA-256 of y")
    sums: set[str] = set()
    for language, command in commands.items():
        for devices in counts:
            for threads in (1, 2) if devices == 0 else (2,):
                for isa in variants if devices == 0 else variants[-1:]:
                    found, seconds = digests(command, model, layer, folder, threads, devices, isa)
                    sums |= found
                    shown = ", ".join(f"{digest[:16]}..." for digest in sorted(found))
                    print(f"{language:<8}  {devices or '-':>7}  {threads:>7}  {isa:<10}  {seconds:7.2f}  {shown}")
    print(f"\n{'all give' if len(sums) == 1 else 'THEY DIFFER:'} {' '.join(sorted(sums))}")
    return len(sums) == 1


def main() -> int:
    options = arguments()
    sys.path.insert(0, str(ROOT / "bindings" / "python" / "src"))
    try:
        import maxlinear

        folder = BUILD / "same_bits"
        folder.mkdir(parents=True, exist_ok=True)
        models = [options.model]
        if options.model is None:
            models = [folder / "llama.gguf", folder / "gptq" / "model.safetensors"]
            write_gguf(models[0])
            write_gptq(models[1])
        available = maxlinear.cpu_info()["isa"]["available"]
        commands = programs(folder)
        same = [show(model, options.layer, folder, commands, [available[0], available[-1]]) for model in models]
    except ImportError as error:
        sys.exit(f"same_bits: {error}\nsame_bits: `make demo` installs what this needs")
    except maxlinear.Error as error:
        sys.exit(f"same_bits: {error}")
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
