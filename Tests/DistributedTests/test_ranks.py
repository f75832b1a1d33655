"""Layers divided among processes, on the tests' own communicator: the bits of one process, each rank with its shard alone."""

import distributed_support as support
import pytest


@pytest.mark.parametrize("size", [1, 2, 4])
def test_mlp_has_the_bits_of_one_process(tmp_path, memory_plugin, checkpoint, size):
    body = f"""
    communicator = connect()
    weights = load_weights("{checkpoint}")
    mlp = DistributedMLP.from_weights(weights, communicator=communicator)
    one = MLPV2.from_weights(weights)
    result["same"] = [bool((mlp(x_of(rows)) == one(x_of(rows))).all()) for rows in (1, 3, 40)]
    result["none"] = mlp(x_of(0)).shape
    half = x_of(5).astype(np.float16)
    result["half"] = bool((mlp(half) == one(half)).all())
    result["devices"] = bool((mlp([half])[0] == one(half)).all())
    strided = x_of(6)[::2]
    result["strided"] = bool((mlp(strided) == one(strided)).all())
    result["shards"] = [[shard.start, shard.stop] for shard in mlp.shards]
    result["packed"] = mlp.memory()["packed"], one.memory()["packed"]
    result["state"] = all((a == b).all() for a, b in zip(mlp.state_dict().values(), one.state_dict().values()))
    result["ranks"] = communicator.rank, communicator.size
    """
    told = support.run_ranks(tmp_path, memory_plugin, size, body)
    assert len(told) == size
    shards = told[0]["shards"]
    assert [begin for begin, _ in shards[1:]] + [support.FORWARD] == [end for _, end in shards]
    for rank, result in enumerate(told):
        assert result["same"] == [True] * 3, rank
        assert result["half"] and result["devices"] and result["strided"] and result["state"], rank
        assert result["none"] == [0, support.HIDDEN]
        assert result["shards"] == shards
        assert result["ranks"] == [rank, size]
        own, whole = result["packed"]
        begin, end = shards[rank]
        # Gate and up by columns of h, down by outputs.
        expected = (2 * (end - begin) / support.FORWARD + 1 / size) / 3
        assert own == pytest.approx(whole * expected, rel=0.05)


def test_reduce_sums_in_the_order_of_the_ranks(tmp_path, memory_plugin, checkpoint):
    body = f"""
    from maxlinear.graph import DeviceRef
    weights = load_weights("{checkpoint}")
    mlp = DistributedMLP.from_weights(weights, communicator=connect(), reduce=True)
    devices = [DeviceRef.CPU(index) for index in range(size)]
    one = DistributedMLP.from_weights(weights, devices=devices, reduce=True)
    result["same"] = [bool((mlp(x_of(rows)) == one([x_of(rows)] * size)[0]).all()) for rows in (1, 40)]
    """
    assert [told["same"] for told in support.run_ranks(tmp_path, memory_plugin, 3, body)] == [[True, True]] * 3


@pytest.mark.parametrize(
    ("encoding", "dtype", "bias"),
    [
        ("None", "float32", True),
        ("None", "bfloat16", False),
        ("None", "float8_e4m3fn", True),
        ('"Q6_K"', "uint8", True),
    ],
)
def test_linears_have_the_bits_of_devices(tmp_path, memory_plugin, encoding, dtype, bias):
    body = f"""
    from maxlinear.graph import DeviceRef
    import ml_dtypes
    communicator = connect()
    encoding = {encoding} and QuantizationEncoding({encoding})
    random = np.random.default_rng(3)
    values = random.standard_normal((330, 1024)).astype(np.float32) / 32
    state = dict(weight=values, bias=random.standard_normal(330).astype(np.float32))
    if encoding:
        state["weight"] = maxlinear.quantize(values, encoding.name)
    elif "{dtype}" != "float32":
        state["weight"] = values.astype(ml_dtypes.{dtype if dtype != "uint8" else "bfloat16"})
        state["weight_scale"] = random.standard_normal(330).astype(np.float32)
    if not {bias}:
        del state["bias"]
    x = x_of(7, 1024)
    devices = [DeviceRef.CPU(index) for index in range(size)]
    for name, cls, options in (
        ("column", ColumnParallelLinear, dict()), ("own", ColumnParallelLinear, dict(gather=False)), ("row", RowParallelLinear, dict())
    ):
        layers = [
            cls(1024, 330, DType.{dtype}, has_bias={bias}, quantization_encoding=encoding, **options, **where)
            for where in (dict(communicator=communicator), dict(devices=devices))
        ]
        for layer in layers:
            layer.load_state_dict(state, strict=False)
        ranks, one = layers
        shard = one.shards[rank]
        xs = [x] * size if name != "row" else [x[:, part.start:part.stop] for part in one.shards]
        expected = one(xs)
        if name != "row":
            whole = ColumnParallelLinear(1024, 330, DType.{dtype}, has_bias={bias}, quantization_encoding=encoding)
            whole.load_state_dict(state, strict=False)
            result[name] = bool((ranks(x) == whole([x])[0]).all())
        else:
            result[name] = bool((ranks(x) == expected[rank]).all())
        result[name + " device"] = bool((ranks([xs[rank]])[0] == expected[rank]).all())
        result[name + " shards"] = ranks.shards == one.shards
    """
    for told in support.run_ranks(tmp_path, memory_plugin, 3, body):
        assert len(told) == 10
        assert all(value for key, value in told.items() if key != "rank"), told


def test_gptq(tmp_path, memory_plugin):
    body = """
    from maxlinear.graph.quantization import QuantizationConfig
    config = QuantizationConfig("gptq", 4, 128, sym=True)
    random = np.random.default_rng(4)
    def tensors(rows, columns):
        values = random.standard_normal((rows, columns)).astype(np.float32)
        return maxlinear.quantize_gptq(values, config)
    parts = dict(gate_proj=tensors(768, 512), down_proj=tensors(512, 768), up_proj=tensors(768, 512))
    state = {f"{part}.{key}": value for part, made in parts.items() for key, value in made.items()}
    def make(cls, **options):
        layer = cls(DType.uint8, QuantizationEncoding.GPTQ, 512, 768, quantization_config=config, **options)
        layer.load_state_dict(state)
        return layer
    mlp, one = make(DistributedMLP, communicator=connect()), make(MLPV2)
    result["same"] = [bool((mlp(x_of(rows)) == one(x_of(rows))).all()) for rows in (1, 40)]
    result["state"] = all((mlp.state_dict()[key] == value).all() for key, value in state.items())
    """
    for told in support.run_ranks(tmp_path, memory_plugin, 3, body):
        assert told["same"] == [True, True] and told["state"]


def test_a_rank_touches_its_own_shard_alone(tmp_path, memory_plugin, tmp_path_factory):
    """Weights that kernels read in place: what is in the process's memory of the mapped file afterwards."""
    checkpoint = support.make_checkpoint(
        tmp_path_factory.mktemp("big") / "mlp.gguf", hidden=1024, forward=8192, quant="F32"
    )
    body = f"""
    def resident():
        total, counts = 0, False
        for line in open("/proc/self/smaps"):
            first = line.split()[0]
            if "-" in first:
                counts = "{checkpoint}" in line
            elif counts and first == "Rss:":
                total += int(line.split()[1]) << 10
        return total
    weights = load_weights("{checkpoint}")
    before = resident()
    mlp = DistributedMLP.from_weights(weights, communicator=connect())
    mlp.prepare(pack="never")
    mlp(x_of(1, 1024))
    result["resident"] = resident() - before
    """
    told = support.run_ranks(tmp_path, memory_plugin, 4, body)
    size = checkpoint.stat().st_size
    for result in told:
        # The system maps up to 2 MiB around a page, at both ends of a shard of 8 MiB.
        assert size * 0.24 < result["resident"] < size * 0.45, result


def test_what_is_refused(tmp_path, memory_plugin, checkpoint):
    body = f"""
    from maxlinear.graph import DeviceRef
    import pickle
    communicator = connect()
    weights = load_weights("{checkpoint}")
    devices = [DeviceRef.CPU(0)]
    def make(**options):
        return DistributedMLP.from_weights(weights, communicator=communicator, **options)
    result["devices"] = tell(lambda: make(devices=devices))
    result["column"] = tell(lambda: ColumnParallelLinear(8, 8, DType.float32, devices, communicator=communicator))
    result["ranks"] = tell(lambda: ColumnParallelLinear(8, 1, DType.float32, communicator=communicator))
    result["row"] = tell(lambda: RowParallelLinear(1, 8, DType.float32, communicator=communicator))
    result["kind"] = tell(lambda: Communicator("no such kind"))
    result["native"] = tell(lambda: Communicator("memory", "text"))
    class Own(maxlinear.nn.linear.LinearV2):
        pass
    result["class"] = tell(
        lambda: DistributedMLP(DType.float32, None, 8, 8, linear_cls=Own, communicator=communicator)
    )
    result["pickle"] = [tell(lambda: pickle.dumps(make())), tell(lambda: pickle.dumps(communicator))]
    result["unprepared"] = tell(lambda: DistributedMLP(DType.float32, None, 8, 8, communicator=communicator)(x_of(1, 8)))
    """
    for result in support.run_ranks(tmp_path, memory_plugin, 2, body):
        assert result["devices"]["message"].startswith("devices: there are 1, expected none beside a communicator")
        assert result["column"]["status"] == "MXL_INVALID_ARGUMENT"
        assert result["ranks"]["message"] == "ranks: there are 2, expected at most 1, as out_dim = 1 has so many units"
        assert result["row"]["status"] == "MXL_INVALID_ARGUMENT"
        assert "expected one of memory" in result["kind"]["message"]
        assert result["native"]["status"] == "MXL_INVALID_ARGUMENT"
        assert result["class"]["status"] == "MXL_UNSUPPORTED"
        assert [told["status"] for told in result["pickle"]] == ["MXL_UNSUPPORTED"] * 2
        assert result["unprepared"]["status"] == "MXL_NOT_LOADED"
