"""The gated MLP of a checkpoint's layer, divided among the processes of an MPI program, beside mpi4py.

mpirun -n 4 python ranks.py CHECKPOINT LAYER ROWS X Y PLUGIN: reads ROWS rows of float32 from the file X; rank 0 writes those of y to the file Y.
PLUGIN is plugins/mpi.
"""

import sys

import numpy as np
from mpi4py import MPI

import maxlinear
from maxlinear.graph.weights import load_weights
from maxlinear.nn import DistributedMLP

checkpoint, layer, rows, x_path, y_path, plugin = sys.argv[1:]
maxlinear.load_plugin(plugin)
communicator = maxlinear.Communicator("mpi", MPI.COMM_WORLD)
try:
    mlp = DistributedMLP.from_weights(load_weights(checkpoint), int(layer), communicator=communicator)
except maxlinear.Error as error:
    communicator.abort(str(error))  # or the others would wait for this rank
    raise
y = mlp(np.fromfile(x_path, np.float32).reshape(int(rows), -1))
if communicator.rank == 0:
    y.tofile(y_path)
