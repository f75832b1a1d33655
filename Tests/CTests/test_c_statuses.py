"""Every status of mxl_status is caused from C."""

import re

from c_support import HERE, INCLUDE, PLAIN, build, memory_plugin, run, weight_checkpoint


def test_every_status_is_caused(tmp_path):
    header = (INCLUDE / "maxlinear" / "status.h").read_text()
    known = set(re.findall(r"^  (MXL_\w+) = ", header, re.MULTILINE)) - {"MXL_STATUS_INT32"}
    junk = tmp_path / "junk.safetensors"
    junk.write_bytes(b"junk")
    program = build(HERE / "statuses.c", tmp_path / "statuses")
    native = f"{tmp_path / 'shared'} 0 1"
    caused = run([program, weight_checkpoint(tmp_path), junk, memory_plugin(tmp_path), native], PLAIN).split()
    assert len(known) >= 16 and set(caused) == known - {"MXL_INTERNAL"}
