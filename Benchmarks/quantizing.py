"""How fast `quantize` is beside ggml's own quantizers: python quantizing.py LIBGGML-BASE.SO [ENCODING ...]

Gaussian rows of 4096 values, one thread, the time of the process, in turn (A B A B ...), the best of the rounds. Prints a Markdown row an encoding:
GB of float32 a second of either, and the ratio, plain and with an importance of the columns.
"""

import ctypes
import sys
import time

import gguf
import numpy as np

import maxlinear
from maxlinear.graph.quantization import QuantizationEncoding

ROWS, COLUMNS = 64, 4096
ROUNDS = 7


def seconds_of(function, *arguments, **keywords):
    start = time.process_time()
    function(*arguments, **keywords)
    return time.process_time() - start


def quantizer_of(path):
    quantize = ctypes.CDLL(path).ggml_quantize_chunk
    quantize.restype = ctypes.c_size_t
    quantize.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    return quantize


def main():
    peer = quantizer_of(sys.argv[1])
    random = np.random.default_rng(1)
    values = random.standard_normal((ROWS, COLUMNS)).astype(np.float32)
    importance = (random.random(COLUMNS) ** 4).astype(np.float32)
    print(
        "| encoding | GB/s | ggml's | ratio | with importance | ggml's | ratio |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for name in sys.argv[2:] or [encoding.name for encoding in QuantizationEncoding.all()]:
        kind = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = np.empty((ROWS, COLUMNS // elements * size), np.uint8)
        cells = []
        for weights in (None, importance):
            pointer = None if weights is None else weights.ctypes.data
            own, its = [], []
            for _ in range(ROUNDS):
                own.append(seconds_of(maxlinear.quantize, values, name, weights, threads=1))
                its.append(seconds_of(peer, kind, values.ctypes.data, blocks.ctypes.data, 0, ROWS, COLUMNS, pointer))
            cells += [values.nbytes / min(own) / 1e9, values.nbytes / min(its) / 1e9, min(its) / min(own)]
        print(f"| {name} | " + " | ".join(f"{cell:.3g}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
