"""What the fuzzers start from, made here so that no binary is kept: `seeds.py FOLDER` fills FOLDER/<fuzzer>/ for each."""

import json
import random
import struct
import sys
from pathlib import Path

#: GGUF's numbers of tensor types, with the weights and bytes of a block.
GGUF_TYPES = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    16: (256, 66),
    20: (32, 18),
    23: (256, 136),
    24: (1, 1),
    30: (1, 2),
    39: (32, 17),
}
#: Those whose inputs are decoded into structs.
DECODED = ("dequantize", "forward", "plugin", "state", "variants")


def gguf_string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def gguf_value(kind, value):
    formats = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
    if kind == 8:
        return gguf_string(value)
    if kind == 9:
        inner, values = value
        return struct.pack("<IQ", inner, len(values)) + b"".join(gguf_value(inner, one) for one in values)
    return struct.pack("<" + formats[kind], value)


def gguf(metadata, tensors, version=3, alignment=32):
    """A GGUF file of zeros: metadata (key, type, value), tensors (name, dimensions innermost first, type)."""
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, kind, value in metadata:
        header += gguf_string(key) + struct.pack("<I", kind) + gguf_value(kind, value)
    offset = 0
    for name, dimensions, kind in tensors:
        header += gguf_string(name) + struct.pack("<I", len(dimensions))
        header += b"".join(struct.pack("<Q", dimension) for dimension in dimensions)
        header += struct.pack("<IQ", kind, offset)
        elements, size = GGUF_TYPES[kind]
        for dimension in dimensions:
            size *= dimension
        offset += -(-size // elements // alignment) * alignment
    return header + bytes(-len(header) % alignment) + bytes(offset)


def gguf_files():
    yield gguf([], [])
    yield gguf([], [("w.weight", (4, 3), 0)], version=2)
    every = [(0, 7), (1, -7), (2, 9), (3, -9), (4, 1), (5, -1), (6, 1.5), (7, True), (10, 5), (11, -5), (12, 2.5)]
    every += [(8, "text"), (9, (4, [1, 2])), (9, (8, ["a", "b"])), (9, (9, [(0, [1]), (0, [])]))]
    yield gguf([(f"key.{i}", kind, value) for i, (kind, value) in enumerate(every)], [])
    yield gguf([("general.alignment", 4, 64)], [("a.weight", (8,), 1), ("b", (), 0)], alignment=64)
    for kind, (elements, _) in GGUF_TYPES.items():
        yield gguf([], [("w.weight", (elements, 2), kind), ("w.bias", (2,), 0)])
    for kind, width in ((0, 8), (2, 32), (30, 16)):
        yield gguf([], [(f"blk.0.{name}.weight", (width, width), kind) for name in ("ffn_gate", "ffn_down", "ffn_up")])


def safetensors(tensors, metadata=None, padding=0):
    """A safetensors file of zeros: tensors (name, dtype, shape, bytes)."""
    header, end = {} if metadata is None else {"__metadata__": metadata}, 0
    for name, dtype, shape, size in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode() + b" " * padding
    return struct.pack("<Q", len(text)) + text + bytes(end)


def safetensors_files():
    yield safetensors([])
    yield safetensors([], {"format": "pt", "a": "\u00e9"}, padding=5)
    widths = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F6_E2M3": 6}
    widths |= {"F4": 4, "C64": 64, "I64": 64, "I32": 32, "I8": 8, "U8": 8, "BOOL": 8, "U16": 16}
    for dtype, bits in widths.items():
        yield safetensors([("w.weight", dtype, [4, 4], 2 * bits), ("w.bias", "F32", [4], 16)])
    yield safetensors([("s", "F32", [], 4), ("e", "I64", [0, 3], 0)])
    yield safetensors([("w.weight", "F8_E4M3", [2, 3], 6), ("w.weight_scale", "F32", [1], 4)])
    yield safetensors(
        [(f"model.layers.0.mlp.{part}_proj.weight", "F32", [4, 4], 64) for part in ("gate", "down", "up")]
    )


def index_files():
    names = {"x.weight": "a.safetensors", "x.bias": "a.safetensors", "y.weight": "b.safetensors"}
    for value in (
        {"metadata": {"total_size": 48}, "weight_map": names},
        {"weight_map": {"x.weight": "a.safetensors"}},
        {"weight_map": {"y.weight": "../b.safetensors"}},
        {"weight_map": {}},
        {"a": [1, -2.5e3, None, True, "\u00e9\n", {"b": []}], "weight_map": names},
    ):
        yield json.dumps(value).encode()
        yield json.dumps(value, indent=1, ensure_ascii=False).encode()


def npy_files():
    for version, descr, order, shape, size in (
        (1, "<f4", False, "(2, 3)", 24),
        (2, "<f2", False, "(5,)", 10),
        (3, "<f4", False, "()", 4),
        (1, "<f4", False, "(0, 4)", 0),
        (1, "<f4", True, "(2, 2)", 16),
        (1, "|u1", False, "(3,)", 3),
        (1, "[('a', '<f4')]", False, "(1,)", 4),
    ):
        text = descr if descr.startswith("[") else f"'{descr}'"
        header = f"{{'descr': {text}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
        length = struct.pack("<H" if version == 1 else "<I", len(header))
        yield b"\x93NUMPY" + bytes([version, 0]) + length + header + bytes(range(size))


def config_files():
    gptq = {"bits": 4, "group_size": 32, "desc_act": False, "sym": True, "quant_method": "gptq"}
    awq = {"w_bit": 4, "q_group_size": 32, "zero_point": True, "version": "GEMM", "quant_method": "awq"}
    for choice, value in (
        (0, gptq),
        (0, gptq | {"bits": 8}),
        (0, gptq | {"group_size": -1, "checkpoint_format": "gptq_v2"}),
        (4, awq),
        (4, {"bits": 4, "group_size": 32, "zero_point": False}),
        (2, {"model_type": "llama", "quantization_config": gptq}),
        (5, {"quantization_config": awq, "hidden_size": 64}),
    ):
        yield bytes([choice]) + json.dumps(value).encode()


def decoded_files(name):
    numbers = random.Random(name)
    for size in (32, 100, 300, 1000, 3000):
        for _ in range(8):
            yield numbers.randbytes(size)


def all_seeds():
    yield "gguf", gguf_files()
    yield "safetensors", safetensors_files()
    yield "index", index_files()
    yield "config", config_files()
    yield "npy", npy_files()
    for name in DECODED:
        yield name, decoded_files(name)


def kept(name):
    """The inputs that once found something, by their file's name: hexadecimal digits, and comments behind #."""
    for path in sorted((Path(__file__).parent / "kept").glob(f"{name}-*.hex")):
        digits = "".join(line.partition("#")[0] for line in path.read_text().splitlines())
        yield path.stem, bytes.fromhex(digits)


def write(folder):
    for name, files in all_seeds():
        target = Path(folder) / name
        target.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(files):
            (target / f"seed-{number}").write_bytes(data)
        for stem, data in kept(name):
            (target / stem).write_bytes(data)


if __name__ == "__main__":
    write(sys.argv[1])
