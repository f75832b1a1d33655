"""The ctypes declarations against include/maxlinear, by the C preprocessor, a C parser and the C compiler."""

import ctypes
import re
import subprocess

import pytest
from pycparser import c_ast, c_parser
from python_support import ROOT

from maxlinear._ffi import constants, structs
from maxlinear.dtype import DType

INCLUDE = ROOT / "include"

STRUCTS = {
    "mxl_error": structs.Error,
    "mxl_device": structs.Device,
    "mxl_tensor": structs.Tensor,
    "mxl_entry": structs.Entry,
    "mxl_parallel_options": structs.ParallelOptions,
    "mxl_quantization": structs.Quantization,
    "mxl_linear_options": structs.LinearOptions,
    "mxl_linear_v1_options": structs.LinearV1Options,
    "mxl_mlp_options": structs.MLPOptions,
    "mxl_mlp_weights_options": structs.MLPWeightsOptions,
    "mxl_quantize_options": structs.QuantizeOptions,
    "mxl_prepare_options": structs.PrepareOptions,
    "mxl_run_options": structs.RunOptions,
    "mxl_memory": structs.Memory,
}

SCALARS = {
    "uint32_t": ctypes.c_uint32,
    "int32_t": ctypes.c_int32,
    "mxl_status": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "float": ctypes.c_float,
    "mxl_communicator": structs.Communicator,
    "mxl_layer": structs.Layer,
    "mxl_weights": structs.Weights,
    **STRUCTS,
}


@pytest.fixture(scope="module")
def tree():
    fake = "typedef unsigned uint32_t; typedef int int32_t; typedef long int64_t; typedef unsigned long uint64_t;"
    fake += "typedef unsigned long size_t; typedef unsigned char uint8_t; typedef signed char int8_t; typedef short int16_t; typedef unsigned short uint16_t;"
    source = '#define INT32_MIN (-2147483647 - 1)\n#include "maxlinear.h"\n'
    flags = ["-E", "-P", "-nostdinc", f"-I{INCLUDE}", "-D__attribute__(x)="]
    empty = ROOT / "build" / "empty-headers"
    empty.mkdir(parents=True, exist_ok=True)
    for name in ("stdint.h", "stddef.h"):
        (empty / name).write_text("")
    text = subprocess.run(
        ["cc", *flags, f"-I{empty}", "-x", "c", "-"], input=source, capture_output=True, text=True, check=True
    ).stdout
    return c_parser.CParser().parse(fake + text)


def declared(tree, kind):
    """Declarations of functions, or typedefs of structs and enums, of that kind."""
    for node in tree.ext:
        if kind is c_ast.FuncDecl and isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl):
            yield node.name, node.type
        inner = getattr(getattr(node, "type", None), "type", None)
        if isinstance(node, c_ast.Typedef) and isinstance(inner, kind) and node.name.startswith("mxl_"):
            yield node.name, inner


def type_of(node):
    """The ctypes type of a C declaration."""
    if isinstance(node, c_ast.PtrDecl):
        if isinstance(node.type, c_ast.FuncDecl):
            return structs.Release
        inner = type_of(node.type)
        if inner is None:
            return ctypes.c_void_p
        return ctypes.c_char_p if inner is ctypes.c_char else ctypes.POINTER(inner)
    if isinstance(node, c_ast.ArrayDecl):
        return type_of(node.type) * int(node.dim.value)
    name = node.type.names[-1] if isinstance(node.type, c_ast.IdentifierType) else node.type.name
    return {"void": None, "char": ctypes.c_char, **SCALARS}[name]


def test_structs(tree):
    found = dict(declared(tree, c_ast.Struct))
    for name, struct in STRUCTS.items():
        fields = [(field.name, type_of(field.type)) for field in found[name].decls]
        assert list(struct._fields_) == fields, name


def test_no_struct_is_missing(tree):
    plugin = {"mxl_encoding", "mxl_source", "mxl_int8_activation", "mxl_tile", "mxl_kernel_row"}
    plugin |= {"mxl_communicator_kind", "mxl_host", "mxl_plugin"}
    names = {name for name, struct in declared(tree, c_ast.Struct) if struct.decls is not None}
    assert names - plugin == set(STRUCTS)


def test_functions(tree):
    found = dict(declared(tree, c_ast.FuncDecl))
    assert set(found) == set(structs.PROTOTYPES)
    for name, function in found.items():
        result, arguments = structs.PROTOTYPES[name]
        parameters = [type_of(p.type) for p in function.args.params]
        assert type_of(function.type) == result, name
        assert [p for p in parameters if p is not None] == arguments, name


def test_constants(tmp_path):
    names = [name for name in vars(constants) if name.startswith("MXL_")]
    lines = "".join(f'printf("{name} %lld\\n", (long long)({name}));' for name in [*names, "MXL_ABI_VERSION"])
    (tmp_path / "constants.c").write_text(
        f"#include <maxlinear.h>\n#include <stdio.h>\nint main(void) {{ {lines} return 0; }}\n"
    )
    program = tmp_path / "constants"
    subprocess.run(["cc", f"-I{INCLUDE}", tmp_path / "constants.c", "-o", program], check=True)
    output = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    values = dict(line.split() for line in output.splitlines())
    assert int(values.pop("MXL_ABI_VERSION")) == constants.ABI_VERSION
    assert {name: int(value) for name, value in values.items()} == {name: getattr(constants, name) for name in names}


def test_every_status_and_dtype_is_there(tree):
    enums = dict(declared(tree, c_ast.Enum))
    statuses = {e.name for e in enums["mxl_status"].values.enumerators} - {"MXL_STATUS_INT32"}
    assert statuses <= set(vars(constants))
    dtypes = {e.name: e.value for e in enums["mxl_dtype"].values.enumerators if not re.search("NONE|INT32$", e.name)}
    assert {int(value.value) for value in dtypes.values()} <= {dtype.value for dtype in DType}


def test_sizes(tmp_path):
    lines = ""
    for name, struct in STRUCTS.items():
        lines += f'printf("{name} %zu\\n", sizeof({name}));'
        for field, _ in struct._fields_:
            lines += f'printf("{name}.{field} %zu\\n", offsetof({name}, {field}));'
    (tmp_path / "sizes.c").write_text(
        f"#include <maxlinear.h>\n#include <stdio.h>\nint main(void) {{ {lines} return 0; }}\n"
    )
    program = tmp_path / "sizes"
    subprocess.run(["cc", f"-I{INCLUDE}", tmp_path / "sizes.c", "-o", program], check=True)
    output = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    for line in output.splitlines():
        name, value = line.split()
        struct, _, field = name.partition(".")
        expected = getattr(STRUCTS[struct], field).offset if field else ctypes.sizeof(STRUCTS[struct])
        assert int(value) == expected, name
