"""Other thread runtimes in the process, before and after maxlinear, and fork. Each order is a process of its own."""

import os
import shutil
import subprocess
import sys
import textwrap
import threading
from importlib import metadata, util

import numpy as np
import pytest

from maxlinear.dtype import DType
from maxlinear.nn.linear import LinearV2

#: What each process begins with: one step a name, in the order of the command line.
STEPS = """
import ctypes, os, sys
import numpy as np

def forward(threads=2):
    import maxlinear
    from maxlinear.dtype import DType
    from maxlinear.nn.linear import LinearV2
    maxlinear.set_num_threads(threads)
    layer = LinearV2(512, 512, DType.float32)
    layer.load_state_dict({"weight": np.ones((512, 512), np.float32)})
    before = len(os.listdir("/proc/self/task"))
    assert (layer(np.ones((128, 512), np.float32)) == 512).all()
    return len(os.listdir("/proc/self/task")) - before

def intel():
    library = ctypes.CDLL(os.environ["INTEL_OPENMP"])
    microtask = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    seen = []
    library.omp_set_num_threads(2)
    place = (ctypes.c_int * 8)()
    library["__kmpc_fork_call"](ctypes.byref(place), 0, microtask(lambda thread, bound: seen.append(thread[0])))
    assert len(seen) == 2

def gnu():
    assert ctypes.CDLL(os.environ["GNU_OPENMP"]).threads() == 2

def torch():
    import torch
    torch.set_num_threads(2)
    assert (torch.mm(torch.ones(256, 256), torch.ones(256, 256)) == 256).all()

def openblas():
    assert (np.ones((256, 256), np.float32) @ np.ones((256, 256), np.float32) == 256).all()

def load():
    import maxlinear

def load_intel():
    ctypes.CDLL(os.environ["INTEL_OPENMP"])

def child(threads=2):
    process = os.fork()
    if process == 0:
        status = 1
        try:
            for count in 1, threads, 1, threads:
                forward(count)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(process, 0)[1] == 0

def busy_child():
    import threading
    stop = threading.Event()
    def loop():
        while not stop.is_set():
            forward(4)
    thread = threading.Thread(target=loop)
    thread.start()
    for _ in range(5):
        child(4)
    stop.set()
    thread.join()
"""


def run(code, **environment):
    result = subprocess.run(
        [sys.executable, "-c", STEPS + textwrap.dedent(code)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "2", **environment},
    )
    return result.returncode, result.stdout + result.stderr


def steps(text, **environment):
    """Runs the named steps; a name may be followed by an assertion on its result."""
    code, output = run("\n".join(f"{step}()" for step in text.split()), **environment)
    assert code == 0, output


@pytest.fixture(scope="session")
def intel_openmp():
    """Intel's runtime, from the package intel-openmp."""
    try:
        files = metadata.files("intel-openmp") or []
    except metadata.PackageNotFoundError:
        pytest.skip("needs intel-openmp")
    for file in files:
        if file.name == "libiomp5.so":
            return str(file.locate().resolve())
    pytest.fail("intel-openmp has no libiomp5.so")


@pytest.fixture(scope="session")
def gnu_openmp(tmp_path_factory):
    """A library on GNU's runtime, the one that torch brings."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    folder = tmp_path_factory.mktemp("gnu")
    (folder / "threads.c").write_text("""
    int threads(void) {
      int count = 0;
    #pragma omp parallel num_threads(2) reduction(+ : count)
      count += 1;
      return count;
    }""")
    library = folder / "libthreads.so"
    plain = {"PATH": "/usr/bin:/bin"}
    subprocess.run(["gcc", "-fopenmp", "-shared", "-fPIC", folder / "threads.c", "-o", library], check=True, env=plain)
    return str(library)


@pytest.mark.parametrize("order", ["gnu forward gnu forward", "forward gnu forward gnu"])
def test_gnu_openmp(order, gnu_openmp):
    steps(order, GNU_OPENMP=gnu_openmp)


@pytest.mark.parametrize("order", ["openblas forward openblas forward", "forward openblas forward openblas"])
def test_openblas(order):
    steps(order)


@pytest.mark.skipif(util.find_spec("torch") is None, reason="needs torch")
@pytest.mark.parametrize("order", ["torch forward torch forward", "forward torch forward torch"])
def test_torch(order):
    steps(order)


@pytest.mark.skipif(util.find_spec("torch") is None, reason="needs torch")
@pytest.mark.parametrize("order", ["intel forward torch forward intel", "intel torch forward torch intel"])
def test_torch_and_intel_openmp(order, intel_openmp):
    steps(order, INTEL_OPENMP=intel_openmp)


@pytest.mark.parametrize(
    "order", ["intel forward intel forward", "load_intel forward intel", "load_intel load intel forward"]
)
def test_intel_openmp_before(order, intel_openmp):
    steps(order, INTEL_OPENMP=intel_openmp)


@pytest.mark.parametrize(
    "order", ["intel gnu forward", "intel forward gnu forward", "gnu intel forward gnu forward intel"]
)
def test_intel_and_gnu_openmp(order, intel_openmp, gnu_openmp):
    steps(order, INTEL_OPENMP=intel_openmp, GNU_OPENMP=gnu_openmp)


def test_shared_runtime_has_threads(intel_openmp):
    """The runtime found is used, not avoided: a region of four threads makes at least two new ones."""
    code, output = run("intel()\nassert forward(4) >= 2\n", INTEL_OPENMP=intel_openmp)
    assert code == 0, output


def test_intel_openmp_begins_between_load_and_use(intel_openmp):
    """Bound to its own runtime, maxlinear must not begin it then: it runs on the caller's thread and aborts nobody."""
    code, output = run("load()\nintel()\nassert forward(4) == 0\nintel()\n", INTEL_OPENMP=intel_openmp)
    assert code == 0, output


@pytest.mark.parametrize("word", ["FALSE", "0", ""])
def test_two_runtimes_only_where_the_variable_says_yes(word, intel_openmp):
    code, output = run(
        "load()\nintel()\nassert forward(4) == 0\n", INTEL_OPENMP=intel_openmp, KMP_DUPLICATE_LIB_OK=word
    )
    assert code == 0, output


def test_children_ask_again(intel_openmp):
    """In a child no runtime has begun: maxlinear may have threads there, or Intel's may begin first."""
    code, output = run("load()\nintel()\nassert forward(4) == 0\nchild(4)\nforward(4)\n", INTEL_OPENMP=intel_openmp)
    assert code == 0, output


def test_intel_openmp_after_use(intel_openmp):
    """The one order in which the other runtime aborts the process, as the documentation says."""
    code, output = run("forward()\nintel()\n", INTEL_OPENMP=intel_openmp)
    assert code != 0 and "OMP: Error #15" in output
    code, output = run("forward()\nintel()\nforward()\n", INTEL_OPENMP=intel_openmp, KMP_DUPLICATE_LIB_OK="TRUE")
    assert code == 0, output


@pytest.mark.parametrize(
    "order", ["forward child forward child forward", "child forward child", "forward busy_child forward"]
)
def test_fork(order):
    steps(order)


def test_fork_beside_others(gnu_openmp):
    steps("gnu forward child gnu forward child", GNU_OPENMP=gnu_openmp)


def measured(layer, x, threads, other, calls=30):
    """Seconds a pair of calls, one of the layer and one of other (None: the layer alone)."""
    import time

    begin = time.perf_counter()
    for _ in range(calls):
        layer(x, threads=threads)
        if other is not None:
            other()
    return (time.perf_counter() - begin) / calls


@pytest.mark.alone
def test_more_threads_than_cpus(random):
    """Twice the threads that there are CPUs for: barriers must not spin for a thread that has no CPU."""
    cpus = len(os.sched_getaffinity(0))
    layer = LinearV2(1024, 1024, DType.float32)
    layer.load_state_dict({"weight": random.standard_normal((1024, 1024)).astype(np.float32)})
    x = random.standard_normal((8, 1024)).astype(np.float32)
    import maxlinear

    before = maxlinear.num_threads()
    maxlinear.set_num_threads(max(4, 2 * cpus))
    try:
        measured(layer, x, cpus, None)
        ratios = [measured(layer, x, max(4, 2 * cpus), None) / measured(layer, x, cpus, None) for _ in range(9)]
    finally:
        maxlinear.set_num_threads(before)
    assert min(ratios) < 3, ratios


@pytest.mark.alone
def test_turns_with_openblas(random):
    """Calls in turn with numpy's threads: workers that kept spinning took 10 to 40 times the time of each alone."""
    layer = LinearV2(512, 512, DType.float32)
    layer.load_state_dict({"weight": random.standard_normal((512, 512)).astype(np.float32)})
    x = random.standard_normal((32, 512)).astype(np.float32)
    weight = np.ascontiguousarray(random.standard_normal((512, 512)).astype(np.float32))

    def multiply():
        return x @ weight

    ratios = []
    for _ in range(9):
        alone = measured(layer, x, 2, None) + measured(lambda *_, **__: multiply(), x, 2, None)
        ratios.append(measured(layer, x, 2, multiply) / alone)
    assert min(ratios) < 3, ratios


def test_callers_share_the_budget(random):
    """Host threads whose regions meet: none waits for another for long, and all get their bits."""
    layer = LinearV2(512, 512, DType.float32)
    layer.load_state_dict({"weight": random.standard_normal((512, 512)).astype(np.float32)})
    x = random.standard_normal((32, 512)).astype(np.float32)
    expected = layer(x, threads=1)
    wrong = []

    def work():
        for _ in range(50):
            if not (layer(x, threads=4) == expected).all():
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads) and not wrong
