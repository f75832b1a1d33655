import distributed_support as support
import pytest


@pytest.fixture(scope="session")
def memory_plugin(tmp_path_factory):
    """The tests' own communicator."""
    return support.build_plugin(tmp_path_factory.mktemp("plugins") / "memory.so")


@pytest.fixture(scope="session")
def mpi_plugin(tmp_path_factory):
    """plugins/mpi, built by its own Makefile."""
    if not support.has_mpi():
        pytest.skip("there is no MPI here: scripts/install-system mpi")
    output = tmp_path_factory.mktemp("plugins") / "mpi.so"
    support.run(["make", "-C", support.ROOT / "plugins" / "mpi", f"OUTPUT={output}"])
    return output


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    return support.make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "mlp.gguf")
