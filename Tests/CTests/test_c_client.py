"""C programs built by gcc and run where nothing leads to a Swift toolchain."""

import os

import abi
import pytest
from c_support import HERE, LIBRARY, PLAIN, build, memory_plugin, run, weight_checkpoint

#: Bounds for a quiet machine; a test run beside others takes the best of several.
FIRST_RESULT_MILLISECONDS = 20
FORWARD_NANOSECONDS = 1500
ATTEMPTS = 5
REFUSALS = sorted(HERE.glob("refusals*.c"))


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


def test_client_calls_every_function():
    text = "".join(path.read_text() for path in HERE.glob("client*.c"))
    assert [name for name in abi.prototypes() if f"{name}(" not in text] == []


def test_processes_that_share_layers(tmp_path):
    program = build(HERE / "client_ranks.c", tmp_path / "ranks", "-D_POSIX_C_SOURCE=200809L")
    assert run([program, memory_plugin(tmp_path), tmp_path / "shared"], PLAIN).endswith("all is well\n")


def test_refusals_call_every_function_that_can_fail():
    text = "".join(path.read_text() for path in REFUSALS)
    can_fail = [name for name, prototype in abi.prototypes().items() if "mxl_error *error" in prototype]
    assert len(can_fail) >= 17
    assert [name for name in can_fail if f"{name}(" not in text] == []


def test_zeros_for_every_argument_of_every_function(tmp_path):
    """Each function that can fail with every argument NULL or 0, then with zeroed memory in place of each pointer, and
    with one of those NULL in turn: a status with a message, never a crash."""
    calls = []
    for name, prototype in abi.prototypes().items():
        parameters = prototype[prototype.index("(") + 1 : -1].split(", ")
        pointers = [index for index, parameter in enumerate(parameters) if "*" in parameter]
        if "mxl_error *error" not in prototype:
            continue
        for missing in [pointers[:-1], *([pointer] for pointer in pointers), []]:
            arguments = ["0"] * len(parameters)
            for position, pointer in enumerate(pointers):
                arguments[pointer] = "NULL" if pointer in missing else f"(void *)zeros[{position}]"
            said = pointers[-1] not in missing
            arguments[-1] = "&error" if said else "NULL"
            calls.append(f'check("{name}", {name}({", ".join(arguments)}), {int(said)});')
    source = tmp_path / "zeros.c"
    source.write_text(
        """#include <maxlinear.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
static uint64_t zeros[16][512];
static mxl_error error = MXL_ERROR_INIT;
static int bad;
static void check(const char *name, mxl_status status, int said) {
  if (!strcmp(mxl_status_name(status), "MXL_UNKNOWN") || (said && status && (!error.message[0] || error.status != status)))
    bad++, fprintf(stderr, "%s: %d\\n", name, (int)status);
  error = (mxl_error)MXL_ERROR_INIT;
  memset(zeros, 0, sizeof zeros);
}
int main(void) {
  """
        + "\n  ".join(calls)
        + "\n  return bad != 0;\n}\n"
    )
    run([build(source, tmp_path / "zeros")], PLAIN)
    assert len(calls) > 70


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
    program = build(REFUSALS, tmp_path / "refusals", optimization, "-lm")
    checks, failures = run([program, weight_checkpoint(tmp_path)], PLAIN).replace(",", "").split()[0::2]
    assert int(checks) > 1000 and failures == "0"


@pytest.mark.alone
def test_times(tmp_path, record_property):
    program = build(HERE / "timing.c", tmp_path / "timing", "-O2", "-Wno-pedantic", "-ldl")
    times = [tuple(map(float, run([program, LIBRARY], PLAIN).split())) for _ in range(ATTEMPTS)]
    first, forward = (min(column) for column in zip(*times, strict=True))
    record_property("dlopen to first result, ms", first)
    record_property("forward, ns", forward)
    if os.environ.get("MAXLINEAR_TEST_TIMES") == "0":
        pytest.skip("MAXLINEAR_TEST_TIMES=0")
    assert first <= FIRST_RESULT_MILLISECONDS and forward <= FORWARD_NANOSECONDS, times


@pytest.mark.alone
def test_eight_callers_of_one_layer(tmp_path, record_property):
    """The bits of one caller (the program checks them), and at least as much done."""
    program = build(HERE / "callers.c", tmp_path / "callers", "-O2", "-Wno-pedantic", "-pthread")
    rounds = []
    while len(rounds) < ATTEMPTS:
        rounds.append([float(line) for line in run([program], PLAIN).split()])
        best = [max(column) for column in zip(*rounds, strict=True)]
        if os.environ.get("MAXLINEAR_TEST_TIMES") == "0" or min(best) >= 1:
            break
    record_property("throughput of eight callers over one", best)
    if os.environ.get("MAXLINEAR_TEST_TIMES") != "0":
        assert len(best) == 4 and min(best) >= 1, rounds
