"""Running ranks: each a Python process, on the tests' own communicator or under mpirun."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import gguf
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "Tests" / "DistributedTests"
LIBRARY = Path(os.environ.get("MAXLINEAR_LIBRARY", ROOT / "build" / "lib" / "libmaxlinear.so")).resolve()
HIDDEN, FORWARD = 512, 1536

#: Ranks share few CPUs: they give them up while they wait.
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT / "bindings" / "python" / "src"),
    "MAXLINEAR_LIBRARY": str(LIBRARY),
    "LD_LIBRARY_PATH": str(LIBRARY.parent),
    "MAXLINEAR_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMPI_MCA_btl_base_warn_component_unused": "0",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    "MAXLINEAR_MPI_TIMEOUT": "20",
    "MEMORY_TIMEOUT": "20",
}

#: What every rank begins with. `result` is what it tells; an error of the library is told, too.
HEAD = """
import json, os, sys
import numpy as np
import maxlinear
from maxlinear import Communicator, DType
from maxlinear.graph.quantization import QuantizationEncoding
from maxlinear.graph.weights import load_weights
from maxlinear.nn import ColumnParallelLinear, DistributedMLP, MLPV2, RowParallelLinear

rank, size, plugin, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
result = {}

def digest(array):
    import hashlib
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()

def tell(call):
    try:
        return {"value": call()}
    except maxlinear.Error as error:
        return {"status": error.status, "message": error.message}

def x_of(rows, columns=512, seed=1):
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)
"""

MEMORY = """
import ctypes
maxlinear.load_plugin(plugin)
_native = ctypes.create_string_buffer(f"{folder}/shared {rank} {size}".encode())
def connect():
    return Communicator("memory", ctypes.addressof(_native))
"""

MPI = """
maxlinear.load_plugin(plugin)
def connect():
    return Communicator("mpi")

def wait_for(*files):
    import time
    end = time.monotonic() + 30
    while time.monotonic() < end and not all(os.path.exists(file) for file in files):
        time.sleep(0.05)
"""


def run(command, check=True, timeout=100, **environment):
    """A finished command, with all it said."""
    command = [str(part) for part in command]
    result = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT, **environment},
        timeout=timeout,
    )
    assert not check or result.returncode == 0, f"{command}: {result.returncode}\n{result.stdout}{result.stderr}"
    return result


def build_plugin(output, source=HERE / "memory.c"):
    """The tests' communicator."""
    flags = ["-std=c11", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}"]
    run(["gcc", *flags, source, "-o", output])
    return output


def write(path, head, body):
    """A rank's program, which leaves what it tells in a file: the outputs of ranks under mpirun mix."""
    tail = '\nopen(f"{folder}/told-{rank}", "w").write(json.dumps({"rank": rank, **result}))\n'
    path.write_text(head + textwrap.dedent(body) + tail)
    return path


def told(folder, size):
    """What the ranks told, in their order; those that did not come to their end are missing."""
    files = [folder / f"told-{rank}" for rank in range(size)]
    return [json.loads(file.read_text()) for file in files if file.exists()]


def new_folder(folder):
    made = folder / f"run-{len(list(folder.iterdir()))}"
    made.mkdir()
    return made


def run_ranks(folder, plugin, size, body, environments=None, bodies=None):
    """What each rank tells, on the tests' communicator. environments, bodies: of single ranks."""
    folder = new_folder(folder)
    processes = []
    for rank in range(size):
        program = write(folder / f"rank-{rank}.py", HEAD + MEMORY, (bodies or {}).get(rank, body))
        environment = {**os.environ, **ENVIRONMENT, **(environments or {}).get(rank, {})}
        command = [sys.executable, str(program), str(rank), str(size), str(plugin), str(folder)]
        processes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        )
    for rank, process in enumerate(processes):
        output, errors = process.communicate(timeout=100)
        assert process.returncode <= 0, f"rank {rank}: {process.returncode}\n{output}{errors}"
    return told(folder, size)


MPIRUN = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none"]


#: Where ranks have failed, mpirun ends the job with the first that leaves: they wait for one another's words.
LINGER = """
wait_for(*(f"{folder}/told-{other}" for other in LIVING))
"""


def run_mpi(folder, plugin, size, body, *options, living=(), check=True, **environment):
    """What each rank tells under mpirun, and what that came to. living: the ranks that tell something where others fail."""
    folder = new_folder(folder)
    program = write(folder / "rank.py", HEAD + MPI, body)
    program.write_text(program.read_text() + LINGER.replace("LIVING", repr(list(living))))
    start = folder / "start"
    arguments = f'"$OMPI_COMM_WORLD_RANK" "$OMPI_COMM_WORLD_SIZE" {plugin} {folder}'
    start.write_text(f"#!/bin/sh\nexec {sys.executable} {program} {arguments}\n")
    start.chmod(0o755)
    done = run([*MPIRUN, *options, "-n", size, start], check=check, **environment)
    return told(folder, size), done


def has_mpi():
    return shutil.which("mpirun") is not None and shutil.which("mpicc") is not None


def make_checkpoint(path, seed=7, hidden=HIDDEN, forward=FORWARD, layers=1, quant="Q4_K"):
    """A Llama's MLPs as a GGUF file."""
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    kind = getattr(gguf.GGMLQuantizationType, quant)
    import maxlinear

    for layer in range(layers):
        for name, shape in (("gate", (forward, hidden)), ("up", (forward, hidden)), ("down", (hidden, forward))):
            values = (random.standard_normal(shape) / np.sqrt(shape[1])).astype(np.float32)
            data = values if quant == "F32" else maxlinear.quantize(values, quant)
            writer.add_tensor(f"blk.{layer}.ffn_{name}.weight", np.asarray(data), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
