"""Ranks that fail, end, do not come or are not what the others are: an error on every living rank that names them, in time, and no wrong result."""

import time

import distributed_support as support
import pytest

#: Ranks have seconds to come.
pytestmark = pytest.mark.alone

#: The exchange with which a rank begins: byte 0 is the step, facts of 8 bytes come from byte 8 on.
CREATE, PREPARE = 0, 1
FACT = 8


def facts(exchange, number, value):
    """What makes a rank speak as one of another kind."""
    return {"MEMORY_TAMPER": f"{exchange} {FACT + 8 * number} {value}"}


def messages(told, key):
    return [result[key]["message"] for result in told]


def expect_everywhere(told, key, *texts, size=3):
    assert len(told) == size
    for result in told:
        assert result[key].get("status") == "MXL_COMMUNICATION", result
        for text in texts:
            assert text in result[key]["message"], result


def test_another_library_version(tmp_path, memory_plugin):
    body = 'result["create"] = tell(lambda: connect().rank)'
    told = support.run_ranks(tmp_path, memory_plugin, 3, body, {1: facts(CREATE, 0, 7)})
    expect_everywhere(told, "create", "library version: is 0.1.7 on rank 1, expected 0.1.0 as on rank 0")


def test_another_number_of_processes(tmp_path, memory_plugin):
    body = 'result["create"] = tell(lambda: connect().rank)'
    told = support.run_ranks(tmp_path, memory_plugin, 3, body, {2: facts(CREATE, 1, 5)})
    expect_everywhere(told, "create", "number of processes: is 5 on rank 2, expected 3 as on rank 0")


def test_another_number_of_shards(tmp_path, memory_plugin, checkpoint):
    body = f"""
    mlp = DistributedMLP.from_weights(load_weights("{checkpoint}"), communicator=connect())
    result["prepare"] = tell(mlp.prepare)
    result["again"] = tell(mlp.prepare)
    """
    told = support.run_ranks(tmp_path, memory_plugin, 3, body, {2: facts(PREPARE, 0, 4)})
    expect_everywhere(told, "prepare", "number of shards: is 4 on rank 2, expected 3 as on rank 0")
    # A failed preparation changes nothing: the ranks may try again.
    assert [result["again"] for result in told] == [{"value": None}] * 3


@pytest.mark.parametrize("size", [2, 3])
def test_another_checkpoint(tmp_path, memory_plugin, checkpoint, size):
    other = support.make_checkpoint(tmp_path / "other.gguf", seed=8)
    body = f"""
    path = "{other}" if rank == 1 else "{checkpoint}"
    mlp = DistributedMLP.from_weights(load_weights(path), communicator=connect())
    result["call"] = tell(lambda: digest(mlp(x_of(1))))
    """
    told = support.run_ranks(tmp_path, memory_plugin, size, body)
    expect_everywhere(told, "call", "checkpoint (bytes of the weights): that of rank 1", size=size)


def test_a_checkpoint_of_another_encoding(tmp_path, memory_plugin, checkpoint):
    other = support.make_checkpoint(tmp_path / "other.gguf", quant="Q6_K")
    body = f"""
    path = "{other}" if rank == 0 else "{checkpoint}"
    mlp = DistributedMLP.from_weights(load_weights(path), communicator=connect())
    result["call"] = tell(lambda: digest(mlp(x_of(1))))
    """
    told = support.run_ranks(tmp_path, memory_plugin, 3, body)
    expect_everywhere(told, "call", "that of rank 0 differs, expected that of rank 1")


def test_other_options(tmp_path, memory_plugin, checkpoint):
    """Each is an error on all ranks, after which they go on."""
    body = f"""
    from maxlinear.nn import module
    communicator = connect()
    weights = load_weights("{checkpoint}")
    odd = rank == 1
    def make(**options):
        return DistributedMLP.from_weights(weights, communicator=communicator, **options)
    result["reduce"] = tell(make(reduce=odd).prepare)
    result["activation"] = tell(make(activation_function="gelu" if odd else "silu").prepare)
    result["compute"] = tell(lambda: make().prepare(compute="float32" if odd else None))
    result["dimension"] = tell(
        ColumnParallelLinear(64, 128 if odd else 64, DType.float32, communicator=communicator).prepare
    )
    def column(gather):
        layer = ColumnParallelLinear(64, 64, DType.float32, communicator=communicator, gather=gather)
        layer.load_state_dict(dict(weight=np.ones((64, 64), np.float32)))
        return layer
    result["gather"] = tell(column(odd).prepare)
    mlp, linear = make(), column(True)
    mlp.prepare()
    linear.prepare()
    result["steps"] = tell(lambda: (make().prepare if odd else linear)(*([] if odd else [x_of(1, 64)])))
    result["layers"] = tell(lambda: digest(mlp(x_of(1)) if odd else linear(x_of(1, 64))))
    result["rows"] = tell(lambda: digest(mlp(x_of(2 if odd else 1))))
    result["width"] = tell(lambda: digest(mlp(x_of(1, 511 if odd else 512))))
    def forward_in_c(accumulate):
        y = np.empty((1, 512), np.float32)
        options = module.structs.RunOptions(ctypes.sizeof(module.structs.RunOptions), 0, accumulate)
        views = [ctypes.byref(module.tensor_of(array, "tensor")) for array in (x_of(1), y)]
        error = module.new_error()
        module.check(module.library.mxl_layer_forward(mlp._handle, ctypes.byref(options), *views, error), error)
        return digest(y)
    result["accumulate"] = tell(lambda: forward_in_c(2 if odd else 0))
    result["devices"] = tell(lambda: [digest(y) for y in mlp([x_of(1)] * (2 if odd else 1))])
    result["threads"] = tell(lambda: digest(mlp(x_of(1), threads=5000 if odd else None)))
    result["dtype"] = tell(lambda: digest(mlp(x_of(1).astype(np.float16 if odd else np.float32))))
    result["values"] = tell(lambda: digest(mlp(x_of(1, seed=2 if odd else 1))))
    result["load"] = tell(lambda: linear.load_state_dict(dict(weight=np.ones((64, 63 if odd else 64), np.float32)), replace=True))
    def load_in_c(entries):
        array = np.ones((64, 64), np.float32)
        error = module.new_error()
        one = module.structs.Entry(name=b"weight", tensor=module.tensor_of(array, "tensor"))
        if entries == 0:
            one.tensor.data = None
        made = (module.structs.Entry * max(entries, 1))(*[one] * max(entries, 1))
        status = module.library.mxl_layer_load(linear._handle, made, len(made), 2, error)
        module.check(status, error)
    result["twice"] = tell(lambda: load_in_c(2 if odd else 1))
    result["no data"] = tell(lambda: load_in_c(0 if odd else 1))
    def prepare_in_c():
        options = module.structs.PrepareOptions(ctypes.sizeof(module.structs.PrepareOptions), 9 if odd else 0)
        error = module.new_error()
        module.check(module.library.mxl_layer_prepare(fresh._handle, ctypes.byref(options), error), error)
    fresh = column(True)
    result["options"] = tell(prepare_in_c)
    result["same"] = bool((mlp(x_of(1)) == MLPV2.from_weights(weights)(x_of(1))).all())
    """
    told = support.run_ranks(tmp_path, memory_plugin, 3, body)
    for key, text in {
        "reduce": "kind of layer: that of rank 1",
        "activation": "kind of layer: that of rank 1",
        "compute": "compute and pack: that of rank 1",
        "gather": "kind of layer: that of rank 1",
        "steps": "step: rank 1 prepares a layer, expected what rank 0 does: it calls a layer",
        "layers": "number of the layer: is 1 on rank 1, expected 2 as on rank 0",
        "rows": "x: number of rows: is 2 on rank 1, expected 1 as on rank 0",
        "values": "x: that of rank 1 differs, expected that of rank 0",
        "dtype": "x: number of the dtype: is 2 on rank 1, expected 1 as on rank 0",
    }.items():
        expect_everywhere(told, key, text)
    # Who cannot go on says what is wrong in its own words.
    for key, status, text in (
        ("width", "MXL_INVALID_SHAPE", "x: last dimension is 511"),
        ("threads", "MXL_INVALID_ARGUMENT", "threads: is 5000"),
        ("twice", "MXL_INVALID_ARGUMENT", "weight: comes twice"),
        ("no data", "MXL_INVALID_ARGUMENT", "data is NULL"),
        ("options", "MXL_INVALID_ARGUMENT", "compute: is 9"),
        ("accumulate", "MXL_INVALID_ARGUMENT", "accumulate: is 2"),
        ("devices", "MXL_INVALID_ARGUMENT", "is 2, expected the layer's 1 devices"),
        ("load", "MXL_INVALID_SHAPE", "weight: shape is"),
    ):
        assert [result[key]["status"] for result in told] == ["MXL_COMMUNICATION", status, "MXL_COMMUNICATION"]
        assert all(text in message for message in messages(told, key))
    assert all(
        "rank " in result["dimension"]["message"] or "weight" in result["dimension"]["message"] for result in told
    )
    assert all(result["same"] for result in told)


def test_a_rank_without_its_checkpoint(tmp_path, memory_plugin, checkpoint):
    body = f"""
    communicator = connect()
    if rank == 2:
        communicator.abort("missing.gguf: cannot open")
    else:
        mlp = DistributedMLP.from_weights(load_weights("{checkpoint}"), communicator=communicator)
        for key in ("first", "second"):
            result[key] = tell(mlp.prepare)
    """
    told = support.run_ranks(tmp_path, memory_plugin, 3, body)[:2]
    for key in ("first", "second"):
        expect_everywhere(told, key, "rank 2 has ended: missing.gguf: cannot open", size=2)


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "import time; time.sleep(5)"], ids=["dead", "late"])
def test_a_rank_that_does_not_come(tmp_path, memory_plugin, checkpoint, end):
    body = f"""
    mlp = DistributedMLP.from_weights(load_weights("{checkpoint}"), communicator=connect())
    mlp(x_of(1))
    if rank == 1:
        {end}
    os.environ["MEMORY_TIMEOUT"] = "2"
    for key in ("second", "third"):
        result[key] = tell(lambda: digest(mlp(x_of(1))))
    """
    told = [result for result in support.run_ranks(tmp_path, memory_plugin, 3, body) if result["rank"] != 1]
    for key in ("second", "third"):
        expect_everywhere(told, key, "rank 1 did not come in time", size=2)


#: What dies, by a rank that others wait for, ends mpirun's job unless it is told otherwise.
RECOVERY = ["--enable-recovery"]


@pytest.mark.parametrize(
    ("end", "text"),
    [
        ("os.kill(os.getpid(), 9)", "rank 1 did not come within 2 seconds"),
        ("pass", "rank 1 did not come within 2 seconds"),
        ('communicator.abort("no more")', "rank 1 has ended the communicator: no more"),
    ],
    ids=["dead", "late", "abort"],
)
def test_mpi_rank_that_does_not_come(tmp_path, mpi_plugin, checkpoint, end, text):
    body = f"""
    communicator = connect()
    mlp = DistributedMLP.from_weights(load_weights("{checkpoint}"), communicator=communicator)
    mlp(x_of(1))
    open(f"{{folder}}/came-{{rank}}", "w").close()
    if rank == 1:
        wait_for(*(f"{{folder}}/came-{{other}}" for other in (0, 2)))  # else its end meets their first call
        {end}
        wait_for(*(f"{{folder}}/told-{{other}}" for other in (0, 2)))
        os._exit(0)
    os.environ["MAXLINEAR_MPI_TIMEOUT"] = "2"
    for key in ("second", "third"):
        result[key] = tell(lambda: digest(mlp(x_of(1))))
    """
    told, _ = support.run_mpi(tmp_path, mpi_plugin, 3, body, *RECOVERY, living=[0, 2], check=False)
    for key in ("second", "third"):
        expect_everywhere(told, key, text, size=2)


def test_mpi_is_not_finalized_without_a_dead_rank(tmp_path, mpi_plugin, checkpoint):
    """mpi4py finalizes at the end of the program, which would wait for the dead rank."""
    body = f"""
    from mpi4py import MPI
    mlp = DistributedMLP.from_weights(load_weights("{checkpoint}"), communicator=connect())
    mlp(x_of(1))
    if rank == 1:
        os.kill(os.getpid(), 9)
    os.environ["MAXLINEAR_MPI_TIMEOUT"] = "2"
    result["call"] = tell(lambda: digest(mlp(x_of(1))))
    """
    told, done = support.run_mpi(tmp_path, mpi_plugin, 3, body, *RECOVERY, living=[0, 2], check=False)
    expect_everywhere(told, "call", "rank 1 did not come within 2 seconds", size=2)
    assert "MPI_ABORT was invoked" in done.stderr


def test_mpirun_ends_the_job_of_a_dead_rank(tmp_path, mpi_plugin, checkpoint):
    body = f"""
    mlp = DistributedMLP.from_weights(load_weights("{checkpoint}"), communicator=connect())
    mlp(x_of(1))
    if rank == 1:
        os.kill(os.getpid(), 9)
    mlp(x_of(1))
    """
    begin = time.monotonic()
    told, done = support.run_mpi(tmp_path, mpi_plugin, 3, body, check=False, MAXLINEAR_MPI_TIMEOUT="60")
    assert not told and done.returncode != 0 and "rank 1" in done.stderr
    assert time.monotonic() - begin < 30


def test_mpi_disagreement(tmp_path, mpi_plugin, checkpoint):
    """Over MPI too: another checkpoint, other shapes; and then all go on."""
    other = support.make_checkpoint(tmp_path / "other.gguf", seed=8)
    body = f"""
    communicator = connect()
    def make(path):
        return DistributedMLP.from_weights(load_weights(path), communicator=communicator)
    result["checkpoint"] = tell(make("{other}" if rank == 1 else "{checkpoint}").prepare)
    mlp = make("{checkpoint}")
    result["rows"] = tell(lambda: digest(mlp(x_of(1 + rank % 2))))
    result["same"] = bool((mlp(x_of(1)) == MLPV2.from_weights(load_weights("{checkpoint}"))(x_of(1))).all())
    """
    told, done = support.run_mpi(tmp_path, mpi_plugin, 3, body)
    expect_everywhere(told, "checkpoint", "checkpoint (bytes of the weights): that of rank 1")
    expect_everywhere(told, "rows", "x: number of rows: is 2 on rank 1, expected 1 as on rank 0")
    assert all(result["same"] for result in told) and not done.stderr


def test_mpi_rank_that_never_connects(tmp_path, mpi_plugin):
    body = """
    if rank == 1:
        from mpi4py import MPI
        import time
        time.sleep(3)
        os._exit(0)
    os.environ["MAXLINEAR_MPI_TIMEOUT"] = "2"
    result["create"] = tell(connect)
    """
    told, _ = support.run_mpi(tmp_path, mpi_plugin, 2, body, *RECOVERY, living=[0], check=False)
    expect_everywhere(told, "create", "not all of the 2 ranks came within 2 seconds", size=1)
