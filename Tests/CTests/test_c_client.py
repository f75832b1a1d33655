"""C programs built by gcc and run where nothing leads to a Swift toolchain."""

import json
import os
import struct

import pytest
from c_support import HERE, LIBRARY, PLAIN, build, run

#: Bounds for a quiet machine; a test run beside others takes the best of several.
FIRST_RESULT_MILLISECONDS = 20
FORWARD_NANOSECONDS = 1500
ATTEMPTS = 5


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return build(HERE / "client.c", tmp_path_factory.mktemp("client") / "client")


@pytest.mark.parametrize("variant", [None, "scalar", "avx2", "avx512", "amx"])
def test_client(client, variant):
    environment = PLAIN if variant is None else {**PLAIN, "MAXLINEAR_ISA": variant}
    assert run([client], environment) == "all is well\n"


def test_client_notices_a_wrong_result(tmp_path):
    """The client's checks fail when its own expectation is off by one."""
    source = tmp_path / "wrong.c"
    text = (HERE / "client.c").read_text()
    assert "float sum = bias[n];" in text
    source.write_text(text.replace("float sum = bias[n];", "float sum = bias[n] + 1;"))
    program = build(source, tmp_path / "wrong")
    with pytest.raises(AssertionError, match="not so"):
        run([program], PLAIN)


def test_unknown_cpu_variant_is_refused(client):
    with pytest.raises(AssertionError, match="MAXLINEAR_ISA") as raised:
        run([client], {**PLAIN, "MAXLINEAR_ISA": "sse9"})
    assert "scalar" in str(raised.value)


def test_nothing_swift_is_loaded(client):
    libraries = run(["ldd", client], PLAIN)
    assert str(LIBRARY.parent) in libraries and "not found" not in libraries
    assert "swift" not in libraries.replace(str(LIBRARY.parent), "").lower()


@pytest.mark.parametrize("optimization", ["-O0", "-O2"])
def test_refusals(tmp_path, optimization):
    header = json.dumps({"weight": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}}).encode()
    checkpoint = tmp_path / "weight.safetensors"
    checkpoint.write_bytes(struct.pack("<Q", len(header)) + header + bytes(48))
    program = build(HERE / "refusals.c", tmp_path / "refusals", optimization)
    checks, failures = run([program, checkpoint], PLAIN).replace(",", "").split()[0::2]
    assert int(checks) > 1000 and failures == "0"


def test_times(tmp_path, record_property):
    program = build(HERE / "timing.c", tmp_path / "timing", "-O2", "-Wno-pedantic", "-ldl")
    times = [tuple(map(float, run([program, LIBRARY], PLAIN).split())) for _ in range(ATTEMPTS)]
    first, forward = (min(column) for column in zip(*times, strict=True))
    record_property("dlopen to first result, ms", first)
    record_property("forward, ns", forward)
    if os.environ.get("MAXLINEAR_TEST_TIMES") == "0":
        pytest.skip("MAXLINEAR_TEST_TIMES=0")
    assert first <= FIRST_RESULT_MILLISECONDS and forward <= FORWARD_NANOSECONDS, times
