"""The gated MLP of a checkpoint's layer, GGUF or safetensors.

mlp.py CHECKPOINT LAYER ROWS X Y [THREADS]: reads ROWS rows of float32 from the file X, writes those of y to the file Y.
"""

import sys

import numpy as np

from maxlinear.graph.weights import load_weights
from maxlinear.nn import MLPV2

checkpoint, layer, rows, x_path, y_path, *rest = sys.argv[1:]
mlp = MLPV2.from_weights(load_weights(checkpoint), int(layer))
x = np.fromfile(x_path, np.float32).reshape(int(rows), -1)
mlp(x, threads=int(rest[0]) if rest else None).tofile(y_path)
