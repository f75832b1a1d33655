"""One Linear from Python: y = x Wᵀ + b."""

import numpy as np

from maxlinear.dtype import DType
from maxlinear.nn.linear import LinearV2

layer = LinearV2(3, 2, DType.float32, has_bias=True)
layer.load_state_dict(
    {
        "weight": np.array([[1, 2, 3], [4, 5, 6]], np.float32),
        "bias": np.array([10, 20], np.float32),
    }
)
y = layer(np.ones(3, np.float32))
print(y)  # [16. 35.]
