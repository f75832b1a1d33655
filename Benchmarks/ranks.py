"""How long one MLP takes on the ranks of an MPI program, for docs/DISTRIBUTION.md.

mpirun -n 2 python Benchmarks/ranks.py PLUGIN [HIDDEN_DIM FEED_FORWARD_LENGTH [ROWS,ROWS,...]]: random Q4_K weights, mapped from one file that rank 0
writes; the fastest of calls that all ranks begin together, and of exchanges of the same sizes alone, on MAXLINEAR_NUM_THREADS threads a rank.
"""

import sys
import tempfile
import time
from pathlib import Path

import gguf
import numpy as np
from mpi4py import MPI

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.weights import load_weights
from maxlinear.nn import DistributedMLP

SECONDS = 1.5


def write(path: Path, hidden: int, forward: int) -> None:
    """One layer; 256 different rows a matrix, again and again."""
    random = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path, "llama")
    for name, rows, columns in (("gate", forward, hidden), ("up", forward, hidden), ("down", hidden, forward)):
        values = random.standard_normal((256, columns)).astype(np.float32) / np.float32(np.sqrt(columns))
        blocks = np.tile(np.asarray(maxlinear.quantize(values, "Q4_K")), (rows // 256, 1))
        writer.add_tensor(f"blk.0.ffn_{name}.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def fastest(world: MPI.Comm, mlp: DistributedMLP, x: np.ndarray) -> float:
    """Milliseconds of a call; the ranks agree on how many there are."""
    mlp(x)
    begin = time.perf_counter()
    mlp(x)
    count = world.bcast(max(5, int(SECONDS / max(time.perf_counter() - begin, 1e-6))))
    times = []
    for _ in range(count):
        world.Barrier()
        begin = time.perf_counter()
        mlp(x)
        times.append(time.perf_counter() - begin)
    return min(times) * 1e3


def main(plugin: str, hidden: int, forward: int, rows: list[int]) -> None:
    """Prints one line a number of rows and a way to split, from rank 0."""
    world = MPI.COMM_WORLD
    maxlinear.load_plugin(plugin)
    folder = world.bcast(tempfile.mkdtemp() if world.rank == 0 else None)
    path = Path(folder) / "mlp.gguf"
    if world.rank == 0:
        write(path, hidden, forward)
    world.Barrier()
    communicator = maxlinear.Communicator("mpi", world)
    weights = load_weights(str(path))
    for reduce in (False, True):
        mlp = DistributedMLP.from_weights(weights, communicator=communicator, reduce=reduce)
        # As much is sent, next to nothing computed.
        narrow, wide = (hidden, 8 * world.size) if reduce else (8, forward + hidden)
        idle = DistributedMLP(DType.float32, None, narrow, wide, communicator=communicator, reduce=reduce)
        shapes = {"gate_proj": (wide, narrow), "down_proj": (narrow, wide), "up_proj": (wide, narrow)}
        idle.load_state_dict({f"{name}.weight": np.zeros(shape, np.float32) for name, shape in shapes.items()})
        for count in rows:
            x = np.random.default_rng(2).standard_normal((count, hidden)).astype(np.float32)
            whole, exchange = fastest(world, mlp, x), fastest(world, idle, np.zeros((count, narrow), np.float32))
            if world.rank == 0:
                split = "inputs" if reduce else "outputs"
                print(
                    f"{world.size} ranks, down by {split}, M={count}: {whole:.2f} ms, idle {exchange:.2f} ms",
                    flush=True,
                )
    world.Barrier()
    if world.rank == 0:
        path.unlink()
        Path(folder).rmdir()


if __name__ == "__main__":
    plugin, *rest = sys.argv[1:]
    hidden, forward = map(int, rest[:2]) if len(rest) > 1 else (4096, 14336)
    main(plugin, hidden, forward, [int(text) for text in rest[2].split(",")] if len(rest) > 2 else [1, 8, 128])
