"""The wheel as a new user meets it: a clean virtual environment, no Swift, no OpenMP runtime of the system."""

import os
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from package_support import PYTHON_PACKAGE, ROOT, TOOLS, attempt, clean_environment, install, run

LIBRARY = Path(os.environ.get("MAXLINEAR_LIBRARY", ROOT / "build" / "lib" / "libmaxlinear.so"))
EXAMPLE = ROOT / "examples" / "python" / "linear.py"

#: Where a checkpoint of blocks meets two threads, and what is mapped afterwards.
USE = """
import numpy as np
import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationEncoding
from maxlinear.nn.linear import LinearV2
maxlinear.set_num_threads(2)
layer = LinearV2(512, 512, DType.uint8, quantization_encoding=QuantizationEncoding.Q4_K)
layer.load_state_dict({"weight": maxlinear.quantize(np.ones((512, 512), np.float32), "Q4_K")})
y = layer(np.ones((128, 512), np.float32), threads=2)
assert abs(y - 512).max() < 8, y
for line in open("/proc/self/maps"):
    if ".so" in line:
        print(line.split(maxsplit=5)[5].strip())
"""

#: With other folders and files in place of the toolchain's and the runtimes', in a mount namespace of its own.
HIDE = """
set -e
for folder in $FOLDERS; do mount -t tmpfs none "$folder"; done
for file in $FILES; do mount --bind /dev/null "$file"; done
exec "$@"
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "maxlinear-0.0.9-py3-none-any.whl").touch()  # an older one, which goes
    environment = {**os.environ, "MAXLINEAR_LIBRARY": str(LIBRARY)}
    run(ROOT / "scripts" / "build-wheel", sys.executable, folder, environment=environment)
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    made = clean_environment(tmp_path_factory.mktemp("clean") / "venv")
    install(made, wheel)
    return made


def test_tag(wheel):
    """manylinux, of the glibc that the two libraries need and no older."""
    assert re.fullmatch(r"maxlinear-0\.1\.0-py3-none-manylinux_2_\d+_x86_64\.whl", wheel.name)
    shown = run(TOOLS / "auditwheel", "show", wheel)
    assert f'"{wheel.stem.split("-")[-1]}"' in shown.split("constrains the platform tag")[0]


def test_version(python, tmp_path):
    """That of pyproject.toml is the library's."""
    code = "import importlib.metadata, maxlinear; print(maxlinear.__version__, importlib.metadata.version('maxlinear'))"
    installed, packaged = run(python, "-c", code, cwd=tmp_path).split()
    assert installed == packaged


def test_contents(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    libraries = [name for name in names if ".so" in name]
    assert len(libraries) == 2 and libraries[0] == "maxlinear/lib/libmaxlinear.so"
    assert re.fullmatch(r"maxlinear\.libs/libomp[^/]*\.so[^/]*", libraries[1])
    assert "maxlinear/py.typed" in names
    licences = [name.split("licenses/", 1)[1] for name in names if ".dist-info/licenses/" in name and name[-1] != "/"]
    assert sorted(licences) == ["LICENSE", "THIRD_PARTY_NOTICES.md", "licenses/libomp.txt", "licenses/swift.txt"]
    for name in names:
        assert not name.startswith(("src/", "tests/")) and "hatch_build" not in name


def test_example(python, tmp_path):
    shutil.copy(EXAMPLE, tmp_path)
    assert run(python, "linear.py", cwd=tmp_path) == "[16. 35.]\n"


def mapped(output):
    """Of the libraries mapped, ours, OpenMP runtimes and Swift's."""
    names = sorted(set(output.split("\n")) - {""})
    return [name for name in names if re.match("lib(maxlinear|[gi]?omp|swift|Foundation|dispatch)", Path(name).name)]


def is_bundled(names, python):
    site = python.parents[1] / "lib"
    return len(names) == 2 and all(Path(name).is_relative_to(site) for name in names)


def test_only_bundled_libraries(python, tmp_path):
    found = mapped(run(python, "-c", USE, cwd=tmp_path))
    assert is_bundled(found, python), found


def test_machine_without_swift_and_openmp(python, tmp_path):
    """Where neither a Swift toolchain nor an OpenMP runtime is to be found."""
    swift = shutil.which("swift")
    folders = [Path(swift).resolve().parents[2]] if swift else []
    runtimes = {
        path.resolve()
        for pattern in ("*/libomp*.so*", "llvm-*/lib/libomp*.so*")
        for path in Path("/usr/lib").glob(pattern)
    }
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "FOLDERS": " ".join(map(str, folders)),
        "FILES": " ".join(map(str, runtimes)),
    }
    hidden = ["unshare", "--mount", "--map-root-user", "sh", "-c", HIDE, "sh"]
    if not shutil.which("unshare") or attempt(*hidden, "true", environment=environment).returncode != 0:
        pytest.skip("needs a mount namespace of its own")
    gone = "import ctypes, shutil\nassert shutil.which('swift') is None\nctypes.CDLL('libomp.so.5')"
    refused = attempt(*hidden, python, "-c", gone, environment=environment)
    assert refused.returncode != 0 and "OSError" in refused.stderr, refused.stderr
    found = mapped(run(*hidden, python, "-c", USE, environment=environment, cwd=tmp_path))
    assert is_bundled(found, python), found


@pytest.mark.alone
def test_import_time(python, tmp_path):
    """Under 100 ms beyond numpy, the fastest of five."""
    beyond = []
    for _ in range(5):
        result = attempt(python, "-X", "importtime", "-c", "import maxlinear, maxlinear.nn", cwd=tmp_path)
        rows = re.findall(r"^import time: +\d+ \| +(\d+) \| ( *)(\S+)$", result.stderr, re.MULTILINE)
        took = {name: int(microseconds) for microseconds, _, name in rows}
        beyond.append((took["maxlinear"] + took["maxlinear.nn"] - took["numpy"]) / 1000)
    assert 0 < min(beyond) < 100, beyond


USER = """
import numpy as np

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph import DeviceRef, Weight
from maxlinear.graph.quantization import QuantizationConfig, QuantizationEncoding
from maxlinear.graph.weights import WeightData, Weights, load_weights
from maxlinear.nn import MLP, MLPV2, DistributedMLP, GPTQLinearV2, Linear, LinearV2, QLinear
from maxlinear.nn.linear import GPTQLinear


class Doubled(LinearV2):
    def __call__(
        self, x: object, out: maxlinear.Array | None = None, *, accumulate: bool = False, threads: int | None = None
    ) -> maxlinear.Array:
        y = super().__call__(x, out, accumulate=accumulate, threads=threads)
        return 2 * y


def run(path: str, x: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> list[maxlinear.Array]:
    weights: Weights = load_weights(path)
    data: WeightData = weights.blk[0].ffn_gate.weight.data()
    layer = LinearV2(3, 2, DType.float32, DeviceRef.CPU(), has_bias=True)
    layer.load_state_dict({"weight": data, "bias": np.zeros(2, np.float32)})
    layer.prepare(compute="int8", pack="never", threads=1)
    weight: Weight = layer.weight
    bias: Weight | None = layer.bias
    config = QuantizationConfig("gptq", 4, 128, sym=True)
    gptq = GPTQLinearV2(256, 2, DType.uint8, quantization_config=config)
    gptq.load_state_dict(maxlinear.quantize_gptq(x, config))
    blocks = maxlinear.quantize(x, QuantizationEncoding.Q4_K)
    encoded = QLinear(blocks, None, QuantizationEncoding.Q4_K)
    linear = Linear.create(DType.float32, None, 3, 2, data)
    mlp = MLP(linear, linear, linear)
    v2 = MLPV2.from_weights(weights, 0)
    distributed = DistributedMLP.from_weights(weights, 0, devices=[DeviceRef.CPU(0)])
    held: dict[str, int] = v2.memory()
    status: str = ""
    try:
        GPTQLinear(weights.blk[0], quantization_config=config)
    except maxlinear.Error as error:
        status = error.status
    print(weight.shape, bias, held["packed"], status, maxlinear.num_threads(), maxlinear.__version__)
    return [layer(x), gptq(x), encoded(x), mlp(x), v2(x), Doubled(3, 2, DType.float32)(x), *distributed([x])]
"""


def test_types(python, tmp_path):
    (tmp_path / "user.py").write_text(USER)
    cache = ROOT / "build" / "mypy-user"
    arguments = ["--strict", "--python-executable", python, "--cache-dir", cache]
    assert "Success" in run(TOOLS / "mypy", *arguments, "user.py", cwd=tmp_path)
    # A user's mistake is found: the types are those of the package, not Any.
    (tmp_path / "wrong.py").write_text(USER.replace("status: str", "status: int"))
    wrong = attempt(TOOLS / "mypy", *arguments, "wrong.py", cwd=tmp_path)
    assert wrong.returncode == 1 and "wrong.py" in wrong.stdout, wrong.stdout


def test_from_the_checkout(tmp_path):
    """`pip install ./bindings/python`: the Swift build runs, or brings up to date what is there."""
    if not shutil.which("swift"):
        pytest.skip("needs swift")
    environment = {key: value for key, value in os.environ.items() if key not in ("MAXLINEAR_LIBRARY", "PYTHONPATH")}
    flags = ["-q", "--no-build-isolation", "--no-deps", "--no-index", "--target", tmp_path / "site"]
    run(sys.executable, "-m", "pip", "install", *flags, PYTHON_PACKAGE, environment=environment)
    assert (tmp_path / "site" / "maxlinear" / "lib" / "libmaxlinear.so").exists()
    used = run(sys.executable, "-c", USE, environment={"PYTHONPATH": str(tmp_path / "site")}, cwd=tmp_path)
    assert str(tmp_path / "site" / "maxlinear" / "lib" / "libmaxlinear.so") in used
