"""The gated MLP of a checkpoint's layer, GGUF, safetensors or GPTQ.

mlp.py CHECKPOINT LAYER ROWS X Y [THREADS [DEVICES]]: reads ROWS rows of float32 from the file X, writes those of y to the file Y; divided
among DEVICES CPU devices, the y of each in turn.
"""

import sys

import numpy as np

from maxlinear.graph import DeviceRef
from maxlinear.graph.weights import load_weights
from maxlinear.nn import MLPV2, DistributedMLP

checkpoint, layer, rows, x_path, y_path, *rest = sys.argv[1:]
threads, devices = (*map(int, rest), *[0, 0])[:2]
x = np.fromfile(x_path, np.float32).reshape(int(rows), -1)
weights = load_weights(checkpoint)
if devices:
    cpus = [DeviceRef.CPU(index) for index in range(devices)]
    ys = DistributedMLP.from_weights(weights, int(layer), devices=cpus)([x] * devices, threads=threads)
else:
    ys = [MLPV2.from_weights(weights, int(layer))(x, threads=threads)]
np.stack(ys).tofile(y_path)
