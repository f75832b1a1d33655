"""plugins/mpi: layers divided among the processes of an MPI program, from C, Swift and Python, beside mpi4py or alone."""

import sys

import distributed_support as support
import numpy as np
import pytest

ROWS = 3


@pytest.mark.parametrize("size", [1, 2, 4])
def test_layers_have_the_bits_of_one_process(tmp_path, mpi_plugin, checkpoint, size):
    body = f"""
    from maxlinear.graph import DeviceRef
    communicator = connect()
    weights = load_weights("{checkpoint}")
    one = MLPV2.from_weights(weights)
    mlp = DistributedMLP.from_weights(weights, communicator=communicator)
    result["same"] = [bool((mlp(x_of(rows)) == one(x_of(rows))).all()) for rows in (1, 40)]
    reduced = DistributedMLP.from_weights(weights, communicator=communicator, reduce=True)
    devices = DistributedMLP.from_weights(weights, devices=[DeviceRef.CPU(i) for i in range(size)], reduce=True)
    result["reduced"] = [bool((reduced(x_of(rows)) == devices([x_of(rows)] * size)[0]).all()) for rows in (1, 40)]
    import threading
    ys = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: ys.append(mlp(x_of(2))))
        thread.start()
        thread.join()
    result["threads"] = [bool((y == one(x_of(2))).all()) for y in ys]
    result["ranks"] = communicator.rank, communicator.size
    [plugin] = [p for p in maxlinear.cpu_info()["plugins"] if p["name"] == "mpi"]
    result["plugin"] = plugin["communicators"], plugin["messages"][0]["text"]
    """
    told, done = support.run_mpi(tmp_path, mpi_plugin, size, body)
    assert len(told) == size and not done.stderr
    for rank, result in enumerate(told):
        assert result["same"] == result["reduced"] == [True, True]
        assert result["threads"] == [True] * 3
        assert result["ranks"] == [rank, size]
        assert result["plugin"][0] == ["mpi"] and result["plugin"][1]


def test_communicators_of_several_threads(tmp_path, mpi_plugin, checkpoint):
    """Each is called by a thread of its own, and no two threads are in MPI at once, which MPI_THREAD_SERIALIZED forbids."""
    watch = tmp_path / "one_thread.so"
    support.run(["mpicc", "-O2", "-shared", "-fPIC", support.HERE / "one_thread.c", "-o", watch])
    body = f"""
    import ctypes, threading
    weights = load_weights("{checkpoint}")
    expected = MLPV2.from_weights(weights)(x_of(2))
    layers = [DistributedMLP.from_weights(weights, communicator=connect()) for _ in range(3)]
    same = []
    def loop(layer):
        for _ in range(20):
            same.append(bool((layer(x_of(2)) == expected).all()))
    threads = [threading.Thread(target=loop, args=(layer,)) for layer in layers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result["same"] = same
    result["overlaps"] = ctypes.CDLL("{watch}").overlapping_calls()
    """
    told, _ = support.run_mpi(tmp_path, mpi_plugin, 2, body, "-x", "LD_PRELOAD", LD_PRELOAD=str(watch))
    assert [result["same"] for result in told] == [[True] * 60] * 2
    assert [result["overlaps"] for result in told] == [0, 0]


def test_beside_mpi4py(tmp_path, mpi_plugin, checkpoint):
    """Communicators of mpi4py, its messages between a layer's, and halves of the world."""
    body = f"""
    from mpi4py import MPI
    maxlinear.load_plugin(plugin)
    weights = load_weights("{checkpoint}")
    expected = digest(MLPV2.from_weights(weights)(x_of(2)))
    whole = Communicator("mpi", MPI.COMM_WORLD)
    half = Communicator("mpi", MPI.COMM_WORLD.Split(rank // 2))
    layers = [DistributedMLP.from_weights(weights, communicator=communicator) for communicator in (whole, half)]
    pending = MPI.COMM_WORLD.irecv(source=(rank + 1) % size, tag=1)
    same = [digest(layer(x_of(2))) == expected for layer in layers]
    MPI.COMM_WORLD.send("between", dest=(rank - 1) % size, tag=1)
    same += [digest(layer(x_of(2))) == expected for layer in layers]
    result["same"] = same
    result["between"] = pending.wait()
    result["sizes"] = whole.size, half.size, half.rank
    """
    told, _ = support.run_mpi(tmp_path, mpi_plugin, 4, body)
    assert [result["sizes"] for result in told] == [[4, 2, rank % 2] for rank in range(4)]
    for result in told:
        assert result["same"] == [True] * 4 and result["between"] == "between"


def test_collectives(tmp_path, mpi_plugin):
    """Each function of the kind, called as the library would, with parts of any length."""
    program = tmp_path / "collectives"
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{support.ROOT / 'include'}"]
    support.run(["gcc", *flags, support.HERE / "collectives.c", "-o", program, "-ldl"])
    for size in (1, 3):
        done = support.run([*support.MPIRUN, "-n", size, program, mpi_plugin])
        assert done.stdout.split().count("fine") == size


@pytest.fixture(scope="module")
def expected(tmp_path_factory, checkpoint):
    """A file of x, and y of one process."""
    from maxlinear.graph.weights import load_weights
    from maxlinear.nn import MLPV2

    x = np.random.default_rng(5).standard_normal((ROWS, support.HIDDEN)).astype(np.float32)
    path = tmp_path_factory.mktemp("x") / "x"
    x.tofile(path)
    return path, MLPV2.from_weights(load_weights(checkpoint))(x)


@pytest.mark.parametrize("language", ["c", "python", "swift"])
def test_examples(tmp_path, mpi_plugin, checkpoint, expected, language):
    x, y = expected
    if language == "c":
        flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]
        paths = [f"-I{support.ROOT / 'include'}", f"-L{support.LIBRARY.parent}"]
        support.run(
            ["gcc", *flags, *paths, support.ROOT / "examples/c/ranks.c", "-lmaxlinear", "-o", tmp_path / "ranks"]
        )
        program = [tmp_path / "ranks"]
    elif language == "python":
        program = [sys.executable, support.ROOT / "examples/python/ranks.py"]
    else:
        swift = [support.ROOT / "scripts/swift", support.ROOT / "build/example-swift", "build"]
        package = ["--package-path", support.ROOT / "examples/swift", "--product", "ranks"]
        support.run([*swift, *package], timeout=900)
        folder = support.run([*swift, *package, "--show-bin-path"]).stdout.strip().splitlines()[-1]
        program = [f"{folder}/ranks"]
    support.run([*support.MPIRUN, "-n", 4, *program, checkpoint, 0, ROWS, x, tmp_path / "y", mpi_plugin])
    assert (np.fromfile(tmp_path / "y", np.float32).reshape(y.shape) == y).all()
