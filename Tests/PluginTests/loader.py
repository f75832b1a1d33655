"""Loads plugins one after the other in a process of its own: `loader.py PATH ...`. Prints a JSON list with the status and message of each, and
whether the library is as it was where one failed."""

import json
import sys

import numpy as np

import maxlinear
from maxlinear.graph.quantization import QuantizationEncoding
from maxlinear.nn.linear import QLinear


def main():
    random = np.random.default_rng(3)
    blocks = maxlinear.quantize(random.standard_normal((40, 256)).astype(np.float32), "Q4_K")
    x = random.standard_normal((3, 256)).astype(np.float32)
    expected = QLinear(blocks, None, QuantizationEncoding.Q4_K)(x)
    results = []
    for path in sys.argv[1:]:
        before = maxlinear.cpu_info()
        status, message = "MXL_OK", ""
        try:
            maxlinear.load_plugin(path)
        except maxlinear.Error as error:
            status, message = error.status, error.message
        works = (QLinear(blocks, None, QuantizationEncoding.Q4_K)(x) == expected).all()
        results.append(
            {
                "status": status,
                "message": message,
                "works": bool(works),
                "unchanged": maxlinear.cpu_info() == before,
            }
        )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
