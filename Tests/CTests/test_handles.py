"""Swapped, destroyed, NULL and junk handles, to every function that takes one: refused, and never followed."""

import abi
from c_support import HERE, PLAIN, build, run, weight_checkpoint


def test_handles(tmp_path):
    program = build(HERE / "handles.c", tmp_path / "handles", "-pthread")
    checks, failures = run([program, weight_checkpoint(tmp_path)], PLAIN).replace(",", "").split()[0::2]
    assert int(checks) > 500 and failures == "0"


def test_every_function_that_takes_a_handle_is_called():
    text = "".join((HERE / name).read_text() for name in ("handles.c", "refusals_communicators.c"))
    takers = [
        name
        for name, prototype in abi.prototypes().items()
        if any(
            f"mxl_{kind} *{kind}" in prototype.replace("const ", "") for kind in ("layer", "weights", "communicator")
        )
        or "*gate" in prototype
        and "mxl_layer *" in prototype
    ]
    assert len(takers) >= 18
    assert [name for name in takers if f"{name}(" not in text] == []
