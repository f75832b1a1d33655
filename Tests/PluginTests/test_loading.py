"""Where plugins come from, what they get, and what goes on meanwhile."""

import json
import subprocess
import sys

import pytest
from plugin_support import HERE, LIBRARY, ROOT, build, build_case, load_all, python, run

INFO = """
import json, sys, maxlinear
from maxlinear.graph.quantization import QuantizationEncoding
for path in sys.argv[1:]:
    maxlinear.load_plugin(path)
print(json.dumps(maxlinear.cpu_info()))
"""


def names(info):
    return [plugin["name"] for plugin in info["plugins"]]


def rows_of(info, encoding):
    (rows,) = (each["rows"] for each in info["encodings"] if each["name"] == encoding)
    return {row["compute"]: row["kernel"] for row in rows}


def renamed(name):
    """The change that makes the case a plugin of another name, with names of its own."""
    upper = name.upper()
    return (
        f'plugin.name = "{name}"; encoding.name = "{upper}"; other_encoding.name = "{upper}_2"; row.encoding = "{upper}"; '
        f'other_row.encoding = "{upper}"; row.name = "{name}_row"; other_row.name = "{name}_row_2"; communicator.name = "{name}"'
    )


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return build_case(tmp_path_factory.mktemp("good") / "case.so")


def test_environment_names_files_and_folders(tmp_path, good):
    """In order, a folder's by name; what fails is listed, and nothing else suffers."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("b", "a", "c"):
        build_case(folder / f"{name}.so", renamed(name))
    (folder / "broken.so").write_text("no library")
    (folder / "readme.txt").write_text("no plugin")
    (folder / "sub.so").mkdir()
    null = build_case(tmp_path / "null.so", 'host->log(host, MXL_LOG_ERROR, "not today"); return 0')
    missing = tmp_path / "missing.so"
    path = f"::{missing}:{good}:{folder}:{null}:{good}:"
    result = subprocess.run(
        [sys.executable, "-c", INFO],
        check=True,
        capture_output=True,
        text=True,
        env={"MAXLINEAR_PLUGIN_PATH": path, "MAXLINEAR_LIBRARY": str(LIBRARY), "PYTHONPATH": ":".join(sys.path)},
    )
    assert result.stderr == "" and len(result.stdout.splitlines()) == 1
    info = json.loads(result.stdout)
    assert names(info) == ["maxlinear", "case", "a", "b", "c"]
    failures = {failure["path"]: failure["reason"] for failure in info["plugin_failures"]}
    assert list(failures) == [str(missing), str(folder / "broken.so"), str(folder / "sub.so"), str(null)]
    assert "No such file" in failures[str(missing)] and failures[str(null)].endswith(
        "returned NULL: not today, expected a plugin"
    )
    assert "is a directory" in failures[str(folder / "sub.so")]
    assert rows_of(info, "Q4_K")["int8"].startswith("mxlk_linear")


@pytest.mark.parametrize("path", ["", ":", "/nowhere", "/dev/null", "/" + "a" * 5000, ":".join(["/nowhere"] * 200)])
def test_environment_of_nothing_useful(path):
    info = python(INFO, MAXLINEAR_PLUGIN_PATH=path)
    assert names(info) == ["maxlinear"]
    assert len(info["plugin_failures"]) == (0 if path.strip(":") == "" else min(len(path.split(":")), 64))


def test_listing(good):
    info = python(INFO, good)
    (case,) = info["plugins"][1:]
    assert case["encodings"] == ["CASE", "CASE_2"] and case["communicators"] == ["case_group"]
    assert {"case_linear", "case_linear_2"} <= set(case["kernels"])
    assert case["path"] == str(good) and case["messages"] == []
    zero = info["plugins"][0]
    assert zero["path"] == "" and "Q4_K" in zero["encodings"] and zero["communicators"] == []
    assert rows_of(info, "CASE") == {"float32": "case_linear"}
    generic = rows_of(info, "CASE_2")["float32"]
    assert generic.startswith("mxlk_linear_generic_CASE_2_f32_")


RUN = """
import json, sys
import numpy as np
import maxlinear
from maxlinear.graph.quantization import QuantizationEncoding
from maxlinear.nn.linear import QLinear
maxlinear.load_plugin(sys.argv[1])
name, compute = sys.argv[2:]
random = np.random.default_rng(2)
weight = random.integers(-5, 6, (13, 320), np.int8)
x = random.integers(-5, 6, (5, 320)).astype(np.float32)
layer = QLinear(weight.view(np.uint8), None, QuantizationEncoding(name))
layer.prepare(compute=compute or None)
y = layer(x)
factor = y[0, 0] / (x @ weight.T.astype(np.float32))[0, 0]
same = (y == factor * (x @ weight.T.astype(np.float32))).all()
print(json.dumps({"kernel": layer.kernel, "factor": float(factor), "same": bool(same)}))
"""


def test_newer_minor_works(tmp_path):
    """Its rows see fields that the library does not know; those that compute what it does not know are left out."""
    path = build(tmp_path / "newer.so", HERE / "newer.c")
    (plugin,) = python(INFO, path)["plugins"][1:]
    assert plugin["abi_version"] == "1.5"
    assert [name for name in plugin["kernels"] if not name.startswith("mxlk_")] == ["newer_linear"]
    assert python(RUN, path, "NEWER", "") == {"kernel": "newer_linear", "factor": 1000.0, "same": True}


@pytest.mark.parametrize("feature", ["MXL_CPU_AMX_BF16", "1ull << 63"])
def test_row_for_another_cpu_is_there_and_not_chosen(tmp_path, feature):
    change = f"row.rank = 1000; row.cpu_features = MXL_CPU_AVX2 | {feature}; plugin.row_count = 1"
    path = build_case(tmp_path / "case.so", change)
    info = python(INFO, path, MAXLINEAR_ISA="avx2")
    assert "case_linear" in info["plugins"][1]["kernels"]
    assert rows_of(info, "CASE")["float32"].startswith("mxlk_linear_generic_CASE_f32_")


def test_rank_decides(tmp_path, good):
    assert python(RUN, good, "CASE", "") == {"kernel": "case_linear", "factor": 1.0, "same": True}
    other = build_case(tmp_path / "other.so", "other_row.rank = 2")
    assert python(RUN, other, "CASE", "") == {"kernel": "case_linear_2", "factor": 1.0, "same": True}
    equal = build_case(tmp_path / "equal.so", "other_row.rank = 1")
    assert python(RUN, equal, "CASE", "")["kernel"] == "case_linear"
    alone = build_case(tmp_path / "alone.so", "plugin.row_count = 0")
    result = python(RUN, alone, "CASE", "float32")
    assert result["kernel"].startswith("mxlk_linear_generic_CASE_f32_") and result["same"]


def test_rows_of_int8_are_the_default(tmp_path):
    path = build_case(tmp_path / "case.so", "row.compute = MXL_COMPUTE_INT8")
    program = RUN.replace("y = layer(x)", "print(json.dumps(layer.kernel)); sys.exit()")
    assert python(program, path, "CASE", "") == "case_linear"
    assert python(program, path, "CASE", "int8") == "case_linear"
    assert python(program, path, "CASE", "float32") == "case_linear_2"


def test_a_row_for_another_plugins_encoding(tmp_path, good):
    change = 'plugin.name = "second"; plugin.encoding_count = 0; row.rank = 50; row.name = "second_row"'
    second = build_case(tmp_path / "second.so", f"{change}; plugin.row_count = 1; plugin.communicator_count = 0")
    assert rows_of(python(INFO, good, second), "CASE") == {"float32": "second_row"}
    (alone,) = load_all([second])
    assert alone["status"] == "MXL_INVALID_FILE" and "which nothing has registered" in alone["message"]


def expected_messages(back):
    said = ["each index once", "nothing for no indices", "memory", "versions"]
    messages = [{"level": "info", "text": f"{what}: yes"} for what in said]
    messages.append({"level": "warning", "text": "a copy"})
    messages.append({"level": "info", "text": "é" * 127})
    messages.append({"level": "info", "text": '\ufffd"\n'})
    if back:
        said = ["finds an encoding", "is not there yet", "information", "no load in a load"]
        messages += [{"level": "info", "text": f"{what}: yes"} for what in said]
    return [{"level": "info", "text": "pushed out"}] * (16 - len(messages)) + messages


def test_host(tmp_path):
    path = build(tmp_path / "host.so", HERE / "host.c")
    for threads in ("1", "2", "7"):
        (host,) = python(INFO, path, MAXLINEAR_NUM_THREADS=threads)["plugins"][1:]
        assert host["messages"] == expected_messages(back=False)
        assert python(RUN, path, "HOST", "", MAXLINEAR_NUM_THREADS=threads)["same"]


@pytest.mark.parametrize("way", ["call", "environment"])
def test_entry_that_calls_the_library(way, tmp_path, good):
    """Neither waits for itself for ever nor loads another plugin."""
    link = [f"-L{LIBRARY.parent}", f"-Wl,-rpath,{LIBRARY.parent}", "-lmaxlinear"]
    path = build(tmp_path / "host.so", HERE / "host.c", f'-DCALLS_BACK="{good}"', *link)
    if way == "call":
        info = python(INFO, path, MAXLINEAR_NUM_THREADS="2")
    else:
        info = python(INFO, MAXLINEAR_PLUGIN_PATH=str(path), MAXLINEAR_NUM_THREADS="2")
    assert names(info) == ["maxlinear", "host"] and info["plugin_failures"] == []
    assert info["plugins"][1]["messages"] == expected_messages(back=True)


def test_missing_symbol_is_named(tmp_path):
    path = build_case(tmp_path / "case.so", "extern void missing_function(void); missing_function()")
    (result,) = load_all([path])
    assert result["status"] == "MXL_INVALID_FILE" and "missing_function" in result["message"]
    assert result["unchanged"] and result["works"]


PATHS = """
import json, os, pathlib, sys, maxlinear
os.chdir(os.path.dirname(sys.argv[1]))
found = []
for path in ("", "nowhere/x.so", "/dev/null", "a\\0b", os.path.dirname(sys.argv[1]), "./"):
    try:
        maxlinear.load_plugin(path)
    except (OSError, ValueError) as error:
        found.append(type(error).__name__)
maxlinear.load_plugin("case.so")
maxlinear.load_plugin(pathlib.Path(sys.argv[1]))
maxlinear.load_plugin(sys.argv[1].encode())
print(json.dumps([found, len(maxlinear.cpu_info()["plugins"])]))
"""


def test_paths(good):
    """Relative ones are files, not names for the loader to look for; path objects and bytes will do."""
    found, count = python(PATHS, good)
    assert found == ["FileError", "FileError", "FileError", "ArgumentError", "FileError", "FileError"] and count == 2


THREADS = """
import json, sys, threading
import numpy as np
import maxlinear
from maxlinear.graph.quantization import QuantizationEncoding
from maxlinear.nn.linear import QLinear

random = np.random.default_rng(4)
stop, failures, calls = threading.Event(), [], []
first, *others = sys.argv[1:]
x = random.integers(-5, 6, (4, 512)).astype(np.float32)
weight = random.integers(-5, 6, (48, 512), np.int8).view(np.uint8)
built_in = maxlinear.quantize(random.standard_normal((48, 512)).astype(np.float32), "Q4_K")
expected = QLinear(built_in, None, QuantizationEncoding.Q4_K)(x)
maxlinear.load_plugin(first)
exact = x @ weight.view(np.int8).T.astype(np.float32)


def guarded(body):
    def run():
        try:
            body()
        except BaseException as error:
            failures.append(repr(error))
    return threading.Thread(target=run)


def forward():
    layer, mine = QLinear(built_in, None, QuantizationEncoding.Q4_K), QLinear(weight, None, QuantizationEncoding("CASE"))
    while not stop.is_set():
        assert (layer(x) == expected).all() and (mine(x) == exact).all()
        again = QLinear(weight, None, QuantizationEncoding("CASE"))
        assert (again(x) == exact).all()
        assert maxlinear.quantize(np.ones((1, 256), np.float32), "Q4_K").shape == (1, 144)
        calls.append(1)


def load(paths):
    def body():
        for path in paths:
            try:
                maxlinear.load_plugin(path)
            except maxlinear.Error as error:
                assert "bad" in path, error
            else:
                name = path.rsplit("/", 1)[-1].removesuffix(".so").upper()
                fresh = QLinear(weight, None, QuantizationEncoding(name))
                assert (fresh(x) == exact).all()
    return body


runners = [guarded(forward) for _ in range(3)]
for thread in runners:
    thread.start()
while not calls and not failures:
    pass
loaders = [guarded(load(others)), guarded(load(others[::-1])), guarded(load(others))]
for thread in loaders:
    thread.start()
for thread in loaders:
    thread.join()
stop.set()
for thread in runners:
    thread.join()
print(json.dumps([failures, sorted(p["name"] for p in maxlinear.cpu_info()["plugins"])]))
"""


def test_loading_while_layers_run(tmp_path, good):
    """Three threads load the same plugins, good and bad, in their own order; three run and prepare layers meanwhile."""
    wanted = [f"t{i}" for i in range(20)]
    paths = [good]
    for i, name in enumerate(wanted):
        paths.append(build_case(tmp_path / f"{name}.so", renamed(name)))
        if i % 4 == 0:
            paths.append(build_case(tmp_path / f"bad{i}.so", renamed(f"bad{i}") + "; encoding.block_size = 0"))
    failures, found = python(THREADS, *paths)
    assert failures == [] and found == sorted(["maxlinear", "case", *wanted])


FORK = """
import json, os, signal, threading, time
import maxlinear

first = threading.Thread(target=maxlinear.cpu_info)
first.start()
time.sleep(0.3)
child = os.fork()
if child == 0:
    signal.alarm(20)
    maxlinear.cpu_info()
    os._exit(0)
first.join()
print(json.dumps(os.waitpid(child, 0)[1]))
"""


def test_a_child_of_fork_while_plugins_are_loaded(tmp_path):
    """Another thread of the parent holds the loader's lock: the child, which has no such thread, must not wait for it."""
    slow = build(tmp_path / "slow.so", HERE / "slow.c")
    assert python(FORK, MAXLINEAR_PLUGIN_PATH=str(slow)) == 0


def test_command_lists_plugins(good, tmp_path):
    """`maxlinear info`, as `swift test` has built it."""
    command = ROOT / "build" / "test" / "debug" / "maxlinear-cli"
    if not command.exists():
        pytest.skip("the command is not built")
    text = run([command, "info"], MAXLINEAR_PLUGIN_PATH=f"{good}:{tmp_path / 'missing.so'}")
    assert f"case  {good}  CASE CASE_2 case_group" in text
    assert f"no plugin      {tmp_path / 'missing.so'}: No such file or directory" in text
