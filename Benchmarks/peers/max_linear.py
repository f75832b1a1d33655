"""MAX 25.3.0 on CPU: f32, bf16, Q4_0, Q4_K, Q6_K. Run by `environment` of this file, which needs MAX's folder only."""

import glob
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

#: The block encodings that it has, and where the float16 scales of a block are: it brings no quantizer.
SCALES = {"Q4_0": [0], "Q4_K": [0, 2], "Q6_K": [208]}


def environment(folder):
    """The variables with which MAX's wheel finds its compiler: those that the wheel's own command sets."""
    root = Path(glob.glob(str(folder / "lib/python3*/site-packages/max"))[0])
    entry = root / "entrypoints" / "mojo.py"
    text = entry.read_text()
    scope = {"__file__": str(entry), "os": os, "sys": sys, "Path": Path, "Any": Any}
    # The wheel's own code, of a pinned version.
    exec(text[text.index("root = Path") : text.index("def _mojo_env")], scope)  # noqa: S102
    return scope["sdk_default_env"]


def main():
    import numpy as np
    from max import driver
    from max.dtype import DType
    from max.engine import InferenceSession
    from max.graph import DeviceRef, Graph, Shape, TensorType
    from max.graph.quantization import QuantizationEncoding
    from max.graph.weights import WeightData
    from max.nn import MLP, Linear

    import serve
    from formats import BLOCKS

    random = serve.generator()

    def weight(encoding, name, shape):
        if encoding == "f32":
            return serve.dense(random, *shape)
        if encoding == "bf16":
            return WeightData(serve.bfloat16_bits(serve.dense(random, *shape)), name, DType.bfloat16, Shape(shape))
        _, elements, size = BLOCKS[encoding]
        blocks = random.integers(0, 256, (shape[0], shape[1] // elements, size), dtype=np.uint8)
        for at in SCALES[encoding]:
            blocks[:, :, at : at + 2] = np.array([0.01], np.float16).view(np.uint8)
        data = blocks.reshape(shape[0], -1)
        return WeightData(data, name, DType.uint8, Shape(data.shape), QuantizationEncoding[encoding])

    def build(case):
        quantization = QuantizationEncoding[case.encoding] if case.encoding in SCALES else None
        dtype = {"f32": DType.float32, "bf16": DType.bfloat16}.get(case.encoding, DType.uint8)
        x_dtype = DType.bfloat16 if case.encoding == "bf16" else DType.float32
        session = InferenceSession()
        cpu = DeviceRef.CPU()
        models = []
        for _ in range(case.copies):
            if case.layer == "linear":
                module = Linear(case.in_dim, case.out_dim, dtype, cpu, quantization_encoding=quantization)
                names = ["weight"]
            else:
                module = MLP(dtype, quantization, case.in_dim, case.out_dim, [cpu])
                names = ["gate_proj.weight", "up_proj.weight", "down_proj.weight"]
            shapes = zip(names, case.shapes, strict=True)
            module.load_state_dict({name: weight(case.encoding, name, shape) for name, shape in shapes})
            graph = Graph("layer", module, input_types=[TensorType(x_dtype, ("m", case.in_dim), cpu)])
            models.append(session.load(graph, weights_registry=module.state_dict()))

        def prepare(rows):
            x = serve.dense(random, rows, case.in_dim)
            if x_dtype == DType.bfloat16:
                bits = driver.Tensor.from_numpy(serve.bfloat16_bits(x))
                tensor = bits.view(DType.bfloat16, (rows, case.in_dim))
            else:
                tensor = driver.Tensor.from_numpy(np.ascontiguousarray(x))
            return lambda copy: models[copy].execute(tensor)

        return prepare

    serve.serve(f"MAX {version('max')}", build)


if __name__ == "__main__":
    main()
