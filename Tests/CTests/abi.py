"""The binary interface as text: prototypes, struct layouts, enumerators and constants of the headers, read by a C
parser and measured by the C compiler. `abi.py --write` rewrites the snapshots in abi/."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from c_support import INCLUDE, ROOT
from pycparser import c_ast, c_generator, c_parser

SYMBOLS = ROOT / "abi" / "symbols.txt"
STRUCTS = ROOT / "abi" / "structs.txt"
INTEGERS = {
    "int8_t": "signed char",
    "uint8_t": "unsigned char",
    "int16_t": "short",
    "uint16_t": "unsigned short",
    "int32_t": "int",
    "uint32_t": "unsigned",
    "int64_t": "long",
    "uint64_t": "unsigned long",
    "size_t": "unsigned long",
}


def preprocess(include, *flags):
    """maxlinear.h after the preprocessor, with empty standard headers: the parser knows no compiler's extensions."""
    with tempfile.TemporaryDirectory() as empty:
        for name in ("stdint.h", "stddef.h"):
            (Path(empty) / name).write_text("")
        command = ["cc", "-E", "-P", "-nostdinc", *flags, "-DINT32_MIN=(-2147483647-1)", f"-I{include}", f"-I{empty}"]
        source = "#include <maxlinear.h>\n"
        return subprocess.run(
            [*command, "-x", "c", "-"], input=source, capture_output=True, text=True, check=True
        ).stdout


def parse(include):
    typedefs = "".join(f"typedef {integer} {name};\n" for name, integer in INTEGERS.items())
    return c_parser.CParser().parse(typedefs + preprocess(include))


def prototypes(include=INCLUDE):
    """{function: its declaration}, sorted by name."""
    generator = c_generator.CGenerator()
    found = {
        node.name: generator.visit(node)
        for node in parse(include).ext
        if isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl)
    }
    return dict(sorted(found.items()))


def constants(include):
    """Macros whose value is a number, but for the version, which every release changes."""
    macros = re.findall(r"^#define (MXL_\w+) \(?[0-9(].*$", preprocess(include, "-dM"), re.MULTILINE)
    return sorted(name for name in macros if not name.startswith("MXL_VERSION_"))


def structs(include=INCLUDE):
    """Lines such as "mxl_tensor.rank offset 12 size 4": every struct, field, enumerator and constant, as the C compiler
    lays them out."""
    statements = []
    for node in parse(include).ext:
        struct = getattr(getattr(node, "type", None), "type", None)
        if isinstance(node, c_ast.Decl):
            struct = node.type
        if isinstance(struct, c_ast.Struct) and struct.decls:
            name = f"struct {struct.name}"
            statements.append(f'printf("{struct.name} size %zu alignment %zu\\n", sizeof({name}), _Alignof({name}));')
            for field in struct.decls:
                member = f"(({name} *)0)->{field.name}"
                statements.append(
                    f'printf("{struct.name}.{field.name} offset %zu size %zu\\n", '
                    f"offsetof({name}, {field.name}), sizeof({member}));"
                )
        if isinstance(struct, c_ast.Enum) and struct.values:
            name = f"enum {struct.name}"
            statements.append(f'printf("{struct.name} size %zu alignment %zu\\n", sizeof({name}), _Alignof({name}));')
            for enumerator in struct.values.enumerators:
                statements.append(f'printf("{enumerator.name} = %lld\\n", (long long){enumerator.name});')
    statements += [f'printf("{name} = %llu\\n", (unsigned long long){name});' for name in constants(include)]
    lines = "\n  ".join(statements)
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "structs.c", Path(folder) / "structs"
        source.write_text(
            f"#include <maxlinear.h>\n#include <stdio.h>\nint main(void) {{\n  {lines}\n  return 0;\n}}\n"
        )
        subprocess.run(["cc", "-std=c11", f"-I{include}", source, "-o", program], check=True)
        return subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()


def snapshots():
    """{file: what it should say}"""
    return {
        SYMBOLS: "".join(f"{prototype};\n" for prototype in prototypes().values()),
        STRUCTS: "".join(f"{line}\n" for line in structs()),
    }


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: abi.py --write")
    for path, text in snapshots().items():
        path.write_text(text)
