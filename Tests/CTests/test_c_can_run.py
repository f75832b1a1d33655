"""mxl_can_run says what creating, loading and preparing then do, in every case that can_run.c makes, under every CPU variant."""

import pytest
from c_support import HERE, PLAIN, build, run


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build(HERE / "can_run.c", tmp_path_factory.mktemp("can_run") / "can_run")


@pytest.mark.parametrize("variant", [None, "scalar", "avx2", "avx512", "amx"])
def test_agrees_with_prepare(program, variant):
    environment = PLAIN if variant is None else {**PLAIN, "MAXLINEAR_ISA": variant}
    compared, running, failures = map(int, run([program], environment).split())
    assert failures == 0 and running > 1000 and compared - running > 1000


def test_agrees_where_nothing_can_run(program):
    """A CPU variant that is none: mxl_info fails, too, so that only dense and GPTQ weights are asked for."""
    compared, running, failures = map(int, run([program], {**PLAIN, "MAXLINEAR_ISA": "sse9"}).split())
    assert failures == 0 and running == 0 and compared > 1000
