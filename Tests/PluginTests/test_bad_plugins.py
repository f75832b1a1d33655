"""Plugins that break a rule: each is refused whole, with a reason, and the library goes on as before."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from plugin_support import HERE, build, build_case, has_three_parts, load_all

FILE, CONFLICT, UNSUPPORTED, IO = "MXL_INVALID_FILE", "MXL_INVALID_ARGUMENT", "MXL_UNSUPPORTED", "MXL_IO"
LONG = '"' + "A" * 64 + '"'
LONG_ROW = '"' + "a" * 128 + '"'
FUNCTION = "*(void **)"

#: name: (what the entry changes, status, part of the message).
CASES = {
    "null": ("return 0", UNSUPPORTED, "returned NULL"),
    "null with a reason": (
        'host->log(host, MXL_LOG_ERROR, "no FPGA here"); return 0',
        UNSUPPORTED,
        "returned NULL: no FPGA here",
    ),
    "next major": ("plugin.abi_major++", UNSUPPORTED, "plugin ABI is 2.2, expected 1"),
    "major 0": ("plugin.abi_major = 0", UNSUPPORTED, "plugin ABI is 0.2, expected 1"),
    "no size": ("plugin.struct_size = 0", FILE, "mxl_plugin: struct_size is 0, expected 72"),
    "short": ("plugin.struct_size = 71", FILE, "struct_size is 71"),
    "amid a field": (
        "plugin.struct_size = 79",
        FILE,
        "mxl_plugin: struct_size is 79, expected 72 to 4096 and a multiple of 8",
    ),
    "huge": ("plugin.struct_size = 1u << 31", FILE, "struct_size is 2147483648"),
    "plugin name NULL": ("plugin.name = 0", FILE, "name: is NULL"),
    "plugin name empty": ('plugin.name = ""', FILE, "name: is empty"),
    "plugin name long": (f"plugin.name = {LONG}", FILE, "expected at most 63"),
    "plugin name odd": ('plugin.name = "a b"', FILE, "character 1"),
    "plugin name taken": (
        'plugin.name = "maxlinear"',
        CONFLICT,
        'name: is "maxlinear", expected a name that no plugin has yet',
    ),
    "encodings NULL": ("plugin.encodings = 0", FILE, "encodings: is NULL, expected 2"),
    "encoding NULL": ("encodings[1] = 0", FILE, "encodings[1]: is NULL"),
    "many encodings": ("plugin.encoding_count = (size_t)-1", FILE, "encodings: are 18446744073709551615"),
    "rows NULL": ("plugin.rows = 0", FILE, "rows: is NULL"),
    "row NULL": ("rows[0] = 0", FILE, "rows[0]: is NULL"),
    "many rows": ("plugin.row_count = 100000", FILE, "rows: are 100000"),
    "encoding short": ("encoding.struct_size = 8", FILE, "encodings[0]: struct_size is 8"),
    "encoding huge": ("encoding.struct_size = 1 << 30", FILE, "encodings[0]: struct_size is 1073741824"),
    "encoding name NULL": ("encoding.name = 0", FILE, "encodings[0].name: is NULL"),
    "encoding name empty": ('encoding.name = ""', FILE, "encodings[0].name: is empty"),
    "encoding name long": (f"encoding.name = {LONG}", FILE, "expected at most 63"),
    "encoding name not ASCII": ('encoding.name = "\\xff"', FILE, "character 0"),
    "encoding built in": ('encoding.name = "Q4_K"', CONFLICT, 'is "Q4_K", expected a name that no encoding has yet'),
    "encoding dense": ('encoding.name = "F32"', CONFLICT, 'is "F32", expected a name that no encoding has yet'),
    "encoding twice": (
        'other_encoding.name = "CASE"',
        CONFLICT,
        'encodings[1].name: is "CASE", expected a name that no encoding has yet',
    ),
    "encoding GPTQ": ('encoding.name = "GPTQ_2"', FILE, "is the library's"),
    "encoding of floats": ("encoding.dtype = MXL_FLOAT64", FILE, "dtype is 4, expected MXL_UINT8"),
    "elements 0": ("encoding.elements_per_block = 0", FILE, "elements_per_block is 0, expected a divisor of 256"),
    "elements -1": ("encoding.elements_per_block = -1", FILE, "elements_per_block is -1"),
    "elements 48": ("encoding.elements_per_block = 48", FILE, "elements_per_block is 48"),
    "elements 512": ("encoding.elements_per_block = 512", FILE, "elements_per_block is 512"),
    "elements absurd": ("encoding.elements_per_block = INT64_MIN", FILE, "elements_per_block is -9223372036854775808"),
    "bytes 0": ("encoding.block_size = 0", FILE, "block_size is 0, expected 1 to 512"),
    "bytes -1": ("encoding.block_size = -1", FILE, "block_size is -1"),
    "bytes 513": ("encoding.block_size = 513", FILE, "block_size is 513"),
    "bytes absurd": ("encoding.block_size = INT64_MAX", FILE, "block_size is 9223372036854775807"),
    "dequantize NULL": ("encoding.dequantize = 0", FILE, '"CASE": dequantize is NULL'),
    "largest 0": ("encoding.largest = 0", FILE, "largest is 0"),
    "largest NaN": ('encoding.largest = __builtin_nanf("")', FILE, "largest is"),
    "largest infinite": ("encoding.largest = __builtin_inff()", FILE, "largest is inf"),
    "row short": ("row.struct_size = sizeof row - 1", FILE, "rows[0]: struct_size"),
    "row name NULL": ("row.name = 0", FILE, "rows[0].name: is NULL"),
    "row name long": (f"row.name = {LONG_ROW}", FILE, "expected at most 127"),
    "row built in": ('row.name = "mxlk_linear_f32_f32_4x16__scalar"', CONFLICT, "expected a name that no row has yet"),
    "row twice": (
        'other_row.name = "case_linear"',
        CONFLICT,
        'rows[1].name: is "case_linear", expected a name that no row has yet',
    ),
    "row generic": ('row.name = "mxlk_linear_generic_CASE_f32_4x16__scalar"', FILE, "is the library's"),
    "row without encoding": ("row.encoding = 0", FILE, "rows[0].encoding: is NULL"),
    "row of nothing": ('row.encoding = "NONE"', FILE, 'encoding is "NONE", which nothing has registered'),
    "row of GPTQ": ('row.encoding = "GPTQ_32"', FILE, "the library's alone"),
    "op": ("row.op = 9", FILE, "op is 9"),
    "compute": ("row.compute = 0", FILE, "compute 0"),
    "rank": ("row.rank = -1", FILE, "rank is -1"),
    "tile_rows 0": ("row.tile_rows = 0", FILE, "tile_rows is 0, expected 1 to 64"),
    "tile_rows 65": ("row.tile_rows = 65", FILE, "tile_rows is 65"),
    "tile_rows absurd": ("row.tile_rows = INT32_MIN", FILE, "tile_rows is -2147483648"),
    "no bfloat16 row": ('row.encoding = "BF16"', FILE, '"BF16" has rows of compute bfloat16'),
    "side_rows -1": ("row.side_rows = -1", FILE, "side_rows is -1, expected 0 to 256"),
    "side_rows 257": ("row.side_rows = 257", FILE, "side_rows is 257, expected 0 to 256"),
    "least_rows -1": ("row.least_rows = -1", FILE, "least_rows is -1, expected 0 or more"),
    "arrange without size": ("row.arrange = arrange", FILE, "arranged_size is 0, expected a multiple of 64"),
    "size without arrange": ("row.arranged_size = 64", FILE, "arranged_size is 64"),
    "arranged_size odd": ("row.arrange = arrange; row.arranged_size = 96", FILE, "arranged_size is 96"),
    "arranged_size absurd": ("row.arrange = arrange; row.arranged_size = 4160", FILE, "arranged_size is 4160"),
    "enter without leave": ("row.enter = touch", FILE, "leave is NULL, expected enter and leave together"),
    "leave without enter": ("row.leave = touch", FILE, "enter is NULL, expected enter and leave together"),
    "panel_columns 0": ("row.panel_columns = 0", FILE, "panel_columns is 0"),
    "panel_columns 24": ("row.panel_columns = 24", FILE, "panel_columns is 24, expected a multiple of 16"),
    "panel_columns 80": ("row.panel_columns = 80", FILE, "panel_columns is 80"),
    "panel_columns absurd": ("row.panel_columns = INT32_MAX", FILE, "panel_columns is 2147483647"),
    "packed_size NULL": ("row.packed_size = 0", FILE, '"case_linear": packed_size is NULL'),
    "packed_size 0": ("row.packed_size = no_bytes", FILE, "packed_size(256) is 0"),
    "packed_size odd": ("row.packed_size = odd_bytes", FILE, "packed_size(256) is 257, expected a multiple of 32"),
    "packed_size absurd": ("row.packed_size = many_bytes", FILE, "packed_size(256) is 1099511627776"),
    "packed_size falls": ("row.packed_size = falling_bytes", FILE, "packed_size(32) is 128, expected 1 to"),
    "pack NULL": ("row.pack = 0", FILE, "pack is NULL"),
    "run NULL": ("row.run = 0", FILE, "run is NULL"),
    "expand without size": ("row.expand = expand", FILE, "expanded_size is 0"),
    "size without expand": ("row.expanded_size = 64", FILE, "expanded_size is 64"),
    "expanded_size absurd": ("row.expand = expand; row.expanded_size = (size_t)-1", FILE, "expanded_size is"),
    "run_packed without expand": ("row.run_packed = run", FILE, "expected it beside run_packed"),
    "int8 of small blocks": (
        'row.compute = MXL_COMPUTE_INT8; row.encoding = "CASE_2"',
        FILE,
        "compute is int8",
    ),
    "int8 on one CPU only": (
        "row.compute = MXL_COMPUTE_INT8; row.cpu_features = MXL_CPU_AVX2",
        FILE,
        "expected another row of its encoding and compute that needs none",
    ),
    "int8 of one row on one CPU only": (
        "row.compute = other_row.compute = MXL_COMPUTE_INT8; row.cpu_features = MXL_CPU_AVX2; other_row.least_rows = 2",
        FILE,
        "expected another row of its encoding and compute that needs none",
    ),
    "no bfloat16 row of one row": (
        'row.encoding = other_row.encoding = "BF16"; other_row.compute = MXL_COMPUTE_BFLOAT16; other_row.least_rows = 2',
        FILE,
        '"BF16" has rows of compute bfloat16',
    ),
    "communicator NULL": ("communicators[0] = 0", FILE, "communicators[0]: is NULL"),
    "communicators NULL": ("plugin.communicators = 0", FILE, "communicators: is NULL"),
    "communicator short": ("communicator.struct_size = 40", FILE, "communicators[0]: struct_size is 40"),
    "communicator name": ("communicator.name = 0", FILE, "communicators[0].name: is NULL"),
    "communicator twice": (
        "plugin.communicator_count = 2",
        CONFLICT,
        'communicators[1].name: is "case_group", expected a name that no communicator has yet',
    ),
    **{
        f"communicator without {name}": (f"communicator.{name} = 0", FILE, f'"case_group": {name} is NULL')
        for name in ("create", "destroy", "rank", "size", "barrier", "broadcast", "allgather", "abort")
    },
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Every bad plugin in one process, then a good one of the same names, then others that clash with it."""
    folder = tmp_path_factory.mktemp("bad")
    with ThreadPoolExecutor(os.cpu_count()) as compilers:
        files = [folder / f"case_{i}.so" for i in range(len(CASES))]
        paths = dict(zip(CASES, compilers.map(build_case, files, [case[0] for case in CASES.values()]), strict=True))
    paths["no entry"] = build_case(folder / "no_entry.so", "", "-DENTRY=another_name")
    (folder / "text.so").write_text("no library\n" * 1000)
    (folder / "empty.so").write_bytes(b"")
    (folder / "folder.so").mkdir()
    (folder / "cut.so").write_bytes(paths["no entry"].read_bytes()[:3000])
    for name in ("text", "empty", "folder", "cut", "missing"):
        paths[name] = folder / f"{name}.so"
    paths["good"] = build_case(folder / "good.so")
    paths["good again"] = paths["good"]
    paths["its copy"] = build_case(folder / "copy.so")
    paths["its encoding"] = build_case(folder / "encoding.so", 'plugin.name = "b"; plugin.row_count = 0')
    paths["its row"] = build_case(
        folder / "row.so", 'plugin.name = "b"; encoding.name = "B"; other_encoding.name = "B_2"; plugin.row_count = 1'
    )
    paths["its communicator"] = build_case(
        folder / "group.so", 'plugin.name = "b"; plugin.encoding_count = 0; plugin.row_count = 0'
    )
    # Case by case a name of the library's own would do: these are taken by the good plugin alone.
    (folder / "link.so").symlink_to(paths["good"])
    paths["its link"] = folder / "link.so"
    return dict(zip(paths, load_all(paths.values()), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_case_is_refused_whole(name, results):
    _, status, message = CASES[name]
    result = results[name]
    assert result["status"] == status and message in result["message"], result
    assert has_three_parts(result["message"]), result
    assert result["unchanged"] and result["works"]


FILES = {
    "no entry": (FILE, "expected mxl_plugin_entry"),
    "text": (FILE, "expected a library that can be loaded"),
    "empty": (FILE, "expected a library that can be loaded"),
    "cut": (FILE, "expected a whole shared library"),
    "folder": (IO, "is a directory, expected a shared library"),
    "missing": (IO, "No such file or directory, expected a file that can be opened"),
    "its copy": (CONFLICT, 'name: is "case", expected a name that no plugin has yet'),
    "its encoding": (CONFLICT, 'is "CASE", expected a name that no encoding has yet'),
    "its row": (CONFLICT, 'is "case_linear", expected a name that no row has yet'),
    "its communicator": (CONFLICT, 'is "case_group", expected a name that no communicator has yet'),
}


@pytest.mark.parametrize("name", FILES)
def test_file_is_refused(name, results):
    status, message = FILES[name]
    result = results[name]
    assert result["status"] == status and message in result["message"], result
    assert ".so: " in result["message"] and has_three_parts(result["message"])
    assert result["unchanged"] and result["works"]


def test_good_plugin_of_the_same_names_is_taken_afterwards(results):
    assert results["good"] == {"status": "MXL_OK", "message": "", "works": True, "unchanged": False}


@pytest.mark.parametrize("name", ["good again", "its link"])
def test_second_load_of_a_file_does_nothing(name, results):
    assert results[name] == {"status": "MXL_OK", "message": "", "works": True, "unchanged": True}


def test_cases_are_good_but_for_their_change(tmp_path):
    """The sources of the cases build without a warning, the unchanged one included."""
    for name in ("case.c", "newer.c"):
        build(tmp_path / "plain.so", "-Wno-unused-function", HERE / name)
