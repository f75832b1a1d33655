"""Checkpoints: mapped files, paths into them, layers filled from them."""

import copy
import gc
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from python_support import write_safetensors
from test_gguf import write

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationConfig
from maxlinear.graph.weights import GGUFWeights, SafetensorWeights, load_weights
from maxlinear.nn.linear import Linear, LinearV2, QLinear


@pytest.fixture
def tensors(random):
    return {
        "model.layers.0.up.weight": random.standard_normal((40, 96)).astype(np.float32),
        "model.layers.0.up.bias": random.standard_normal(40).astype(np.float32),
        "model.norm": random.standard_normal(7).astype(np.float32),
    }


def test_tensors_are_views_of_the_file(tmp_path, tensors):
    weights = load_weights(write_safetensors(tmp_path / "a.safetensors", tensors))
    assert [name for name, _ in weights.items()] == list(tensors)
    for name, array in tensors.items():
        view = weights[name].data().numpy()
        assert view.tobytes() == array.tobytes() and view.shape == array.shape
        assert not view.flags.owndata and not view.flags.writeable
    assert weights.mapped_bytes == (tmp_path / "a.safetensors").stat().st_size
    assert 0 < weights.resident_bytes


def test_paths(tmp_path, tensors):
    weights = load_weights(write_safetensors(tmp_path / "a.safetensors", tensors))
    path = weights.model.layers[0].up
    assert path.weight.exists() and not path.exists() and not weights.model.nothing.exists()
    assert path.weight.data().shape == (40, 96) and path.weight.data().dtype is DType.float32
    assert {name for name, _ in path.items()} == {"model.layers.0.up.weight", "model.layers.0.up.bias"}
    assert path.weight.allocate(DType.float32, (40, 96)).name == "model.layers.0.up.weight"
    with pytest.raises(KeyError, match="nothing"):
        weights.model.nothing.data()
    with pytest.raises(ValueError, match="shape"):
        path.weight.allocate(DType.float32, (96, 40))
    with pytest.raises(TypeError, match="dtype"):
        path.weight.allocate(DType.float16)


def test_names_below_a_path(tmp_path, tensors):
    weights = load_weights(write_safetensors(tmp_path / "a.safetensors", tensors))
    assert list(weights) == list(tensors) and len(weights) == 3
    up = weights.model.layers[0].up
    assert list(up) == ["weight", "bias"] and len(up) == 2 and [up[part].name for part in up] == list(tensors)[:2]
    assert "weight" in up and "bias" in up and "scale" not in up and 0 not in up
    assert "model.norm" in weights and "model" not in weights and None not in weights and b"model.norm" not in weights
    assert list(weights.model.norm) == [] and list(weights["model.layers.0.u"]) == [] and len(weights.model.norm) == 0
    assert weights.model.norm and weights.nothing  # paths, whatever lies below them
    assert np.array_equal(np.asarray(up.weight), tensors["model.layers.0.up.weight"])
    with pytest.raises(KeyError, match="nothing"):
        np.asarray(weights.nothing)


def test_layers_outlive_the_checkpoint(tmp_path, tensors, random):
    path = write_safetensors(tmp_path / "a.safetensors", tensors)
    x = random.standard_normal((3, 96)).astype(np.float32)
    plain = LinearV2(96, 40, DType.float32, has_bias=True)
    prefix = "model.layers.0.up."
    plain.load_state_dict({key: tensors[prefix + key] for key in ("weight", "bias")})
    y = plain(x)
    for fill in ("prefix", "entries", "create", "path"):
        weights = load_weights(path)
        up = weights.model.layers[0].up
        if fill == "create":
            layer = Linear.create(DType.float32, None, 96, 40, up, up)
        else:
            layer = LinearV2(96, 40, DType.float32, has_bias=True)
            if fill == "prefix":
                layer.load_weights(weights, prefix)
            elif fill == "path":
                layer.load_weights(up)
            else:
                layer.load_state_dict({"weight": up.weight, "bias": up.bias.data()})
        if fill != "create":
            assert layer.memory()["mapped"] == 40 * 96 * 4 + 40 * 4
        del weights, up
        gc.collect()
        assert (layer(x) == y).all(), fill
        assert layer.state_dict()["weight"].tobytes() == tensors[prefix + "weight"].tobytes()


def test_several_files_and_an_index(tmp_path, tensors):
    names = list(tensors)
    first = write_safetensors(tmp_path / "a.safetensors", {names[0]: tensors[names[0]]})
    second = write_safetensors(tmp_path / "b.safetensors", {name: tensors[name] for name in names[1:]})
    index = tmp_path / "model.safetensors.index.json"
    where = {name: "a.safetensors" if name == names[0] else "b.safetensors" for name in names}
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    for paths in ([first, second], index, str(index), tmp_path, f"{tmp_path}/"):
        weights = load_weights(paths)
        assert type(weights) is SafetensorWeights
        assert all((weights[name].numpy() == tensors[name]).all() for name in names)
    with pytest.raises(ValueError, match="expected each name once"):
        load_weights([first, first])


def test_create_takes_either_order(tmp_path, tensors):
    weights = load_weights(write_safetensors(tmp_path / "a.safetensors", tensors))
    weight = weights.model.layers[0].up.weight
    for sizes in ((96, 40), (40, 96)):
        assert Linear.create(DType.float32, None, *sizes, weight).weight.shape == (40, 96)
    with pytest.raises(ValueError, match="in_features"):
        Linear.create(DType.float32, None, 96, 41, weight)
    with pytest.raises(TypeError, match="float16"):
        Linear.create(DType.float16, None, 96, 40, weight)


def test_arrays_outlive_the_checkpoint(tmp_path, tensors):
    view = load_weights(write_safetensors(tmp_path / "a.safetensors", tensors)).model.norm.numpy()
    gc.collect()
    assert (view == tensors["model.norm"]).all()


@pytest.mark.parametrize("bad", [object(), np.zeros(40, np.complex128), "text"])
def test_a_failed_load_lets_the_file_go(tmp_path, tensors, bad):
    path = write_safetensors(tmp_path / "a.safetensors", tensors)

    def fail():
        weight = load_weights(path)["model.layers.0.up.weight"]
        layer = LinearV2(96, 40, DType.float32, has_bias=True)
        for call in (
            lambda: layer.load_state_dict({"weight": weight, "bias": bad}),
            lambda: layer.load_state_dict({"weight": weight, "bi\0as": weight}),
            lambda: Linear(weight, bad),
            lambda: Linear(weight, np.zeros(3, np.float32)),
        ):
            with pytest.raises((TypeError, ValueError)):
                call()

    fail()
    gc.collect()
    assert str(path) not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("dtype", [np.float32, "float32", np.dtype("float32")])
def test_allocate_takes_a_dtype_of_the_library(tmp_path, tensors, dtype):
    weights = load_weights(write_safetensors(tmp_path / "a.safetensors", tensors))
    with pytest.raises(TypeError, match=r"dtype: is .*, expected a maxlinear\.dtype\.DType") as caught:
        weights.model.norm.allocate(dtype)
    assert isinstance(caught.value, maxlinear.Error)


def test_a_tensor_equals_itself(tmp_path, tensors):
    path = write_safetensors(tmp_path / "a.safetensors", tensors)
    weights = load_weights(path)
    norm, bias = weights.model.norm.data(), weights.model.layers[0].up.bias.data()
    assert norm == weights["model.norm"].data() and norm != bias and norm != "model.norm"
    assert len({norm, bias, weights.model.norm.data()}) == 2
    other = load_weights(path).model.norm.data()
    assert norm != other and len({norm, other}) == 2
    assert copy.copy(norm) == norm


def test_a_checkpoint_is_not_pickled(tmp_path, tensors):
    weights = load_weights(write_safetensors(tmp_path / "a.safetensors", tensors))
    for value in (weights, weights.model.norm, weights.model.norm.data(), {"weight": weights.model.norm.data()}):
        for action in (pickle.dumps, copy.deepcopy):
            with pytest.raises(ValueError, match="cannot be pickled .* expected load_weights") as caught:
                action(value)
            assert isinstance(caught.value, maxlinear.Error) and caught.value.status == "MXL_UNSUPPORTED"
    assert (copy.copy(weights).model.norm.numpy() == tensors["model.norm"]).all()


class PathOfBytes:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return os.fsencode(self.path)


def test_kinds_of_paths(tmp_path, tensors):
    path = write_safetensors(tmp_path / "a.safetensors", tensors)
    for own in (path, str(path), os.fsencode(path), PathOfBytes(path)):
        for paths in (own, [own]):
            assert (load_weights(paths).model.norm.numpy() == tensors["model.norm"]).all()
    assert type(load_weights(os.fsencode(tmp_path))) is SafetensorWeights


def test_a_path_that_is_not_utf_8(tmp_path, tensors):
    path = os.fsencode(tmp_path) + b"/\xff.safetensors"
    write_safetensors(tmp_path / "a.safetensors", tensors).rename(os.fsdecode(path))
    for own in (path, os.fsdecode(path)):
        with pytest.raises(ValueError, match="expected valid UTF-8") as caught:
            load_weights(own)
        assert isinstance(caught.value, maxlinear.Error)


def test_as_an_array(tmp_path, tensors):
    data = load_weights(write_safetensors(tmp_path / "a.safetensors", tensors))["model.norm"].data()
    norm = tensors["model.norm"]
    for options in ({}, {"dtype": np.float32}, {"copy": False}, {"dtype": np.float32, "copy": False}):
        array = data.__array__(**options)
        assert np.shares_memory(array, data.numpy()) and (array == norm).all()
    for options in ({"copy": True}, {"dtype": np.float32, "copy": True}, {"dtype": np.float64}):
        array = data.__array__(**options)
        assert not np.shares_memory(array, data.numpy()) and array.flags.writeable and (array == norm).all()
        assert array.dtype == options.get("dtype", np.float32)
    with pytest.raises(ValueError, match="copy: is False, expected None or True, as float32 .* float64"):
        data.__array__(np.float64, copy=False)


def test_a_file_of_any_name(tmp_path, tensors):
    """The class is that of what is in the file."""
    write_safetensors(tmp_path / "a.gguf", tensors)
    write(tmp_path / "b.bin", {"w": tensors["model.norm"]})
    write(tmp_path / "c.safetensors", {"w": tensors["model.norm"]})
    for name, kind in {"a.gguf": SafetensorWeights, "b.bin": GGUFWeights, "c.safetensors": GGUFWeights}.items():
        assert type(load_weights(tmp_path / name)) is kind


def test_tensors_of_a_checkpoint_are_arrays(tmp_path, random):
    tensors = {"a.weight": random.standard_normal((64, 256)), "a.bias": random.standard_normal(64)}
    tensors = {name: array.astype(np.float32) for name, array in tensors.items()}
    a = load_weights(write_safetensors(tmp_path / "a.safetensors", tensors)).a
    w, b = tensors.values()
    config = QuantizationConfig("gptq", 4, 64, sym=True)
    for stored in (a.weight, a.weight.data()):
        assert np.array_equal(maxlinear.quantize(stored, "Q4_K"), maxlinear.quantize(w, "Q4_K"))
        for function in (maxlinear.quantize_float8, lambda array: maxlinear.quantize_gptq(array, config)):
            got, expected = function(stored), function(w)
            assert {key: value.tobytes() for key, value in got.items()} == {
                key: value.tobytes() for key, value in expected.items()
            }
        assert np.array_equal(Linear(w)(stored), Linear(w)(w))
    for weight, bias in ((w, b), (a, b), (w, a), (w.tolist(), b.tolist())):
        assert np.array_equal(Linear.create(DType.float32, None, 256, 64, weight, bias)(w), Linear(w, b)(w))
    blocks = maxlinear.quantize(w, "Q8_0")
    for layer in (
        Linear.create(DType.uint8, None, 64, 256, blocks),
        Linear.create(DType.uint8, "Q8_0", 64, 256, np.asarray(blocks)),
    ):
        assert isinstance(layer, QLinear) and np.array_equal(layer(w), QLinear(blocks)(w))
