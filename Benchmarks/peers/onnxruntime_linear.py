"""ONNX Runtime on CPU: f32, and GPTQ as MatMulNBits of 4 bits with int8 activations."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from serve import GROUP, dense, generator, serve

INT8_ACTIVATIONS = 4
random = generator()


def matrix(case, name, source, target, out_dim, in_dim):
    """Nodes and initializers of one matrix."""
    if case.encoding == "f32":
        # The second operand is (K, N), which it packs when the session is made.
        values = np.ascontiguousarray(dense(random, out_dim, in_dim).T)
        return [helper.make_node("MatMul", [source, name], [target])], [numpy_helper.from_array(values, name)]
    groups = in_dim // GROUP
    tensors = {
        f"{name}.codes": random.integers(0, 256, (out_dim, groups, GROUP // 2), dtype=np.uint8),
        f"{name}.scales": np.full(out_dim * groups, 0.01, np.float32),
    }
    if case.is_asymmetric:
        tensors[f"{name}.zeros"] = random.integers(0, 256, out_dim * ((groups + 1) // 2), dtype=np.uint8)
    parameters = list(tensors)
    nodes = []
    if case.has_order:
        tensors[f"{name}.order"] = random.permutation(in_dim)
        nodes.append(helper.make_node("Gather", [source, f"{name}.order"], [f"{name}.x"], axis=1))
        source = f"{name}.x"
    attributes = {"K": in_dim, "N": out_dim, "bits": 4, "block_size": GROUP, "accuracy_level": INT8_ACTIVATIONS}
    nodes.append(helper.make_node("MatMulNBits", [source, *parameters], [target], domain="com.microsoft", **attributes))
    return nodes, [numpy_helper.from_array(array, key) for key, array in tensors.items()]


def session(case):
    if case.layer == "linear":
        parts = [matrix(case, "linear", "x", "y", *case.shapes[0])]
        between = []
    else:
        ends = [("gate", "x", "g"), ("up", "x", "u"), ("down", "h", "y")]
        parts = [matrix(case, *names, *shape) for names, shape in zip(ends, case.shapes, strict=True)]
        steps = [("Sigmoid", ["g"], ["s"]), ("Mul", ["g", "s"], ["silu"]), ("Mul", ["silu", "u"], ["h"])]
        between = [helper.make_node(*step) for step in steps]
    *first, last = [nodes for nodes, _ in parts]
    nodes = [node for group in first for node in group] + between + last
    outputs = case.out_dim if case.layer == "linear" else case.in_dim
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["m", case.in_dim])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["m", outputs])],
        [tensor for _, tensors in parts for tensor in tensors],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, ir_version=8, opset_imports=imports)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.threads
    # Each copy is a session, with threads of its own, which would spin on the CPUs while the next copy is called.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def build(case):
    sessions = [session(case) for _ in range(case.copies)]

    def prepare(rows):
        feed = {"x": dense(random, rows, case.in_dim) * 64}
        return lambda copy: sessions[copy].run(None, feed)

    return prepare


serve(f"ONNX Runtime {onnxruntime.__version__}", build)
