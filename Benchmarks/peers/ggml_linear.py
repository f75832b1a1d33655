"""ggml's CPU backend: f32, bf16 and the block encodings, repacked where it can. MAXLINEAR_BENCH_GGML is the folder of its libraries."""

import ctypes
import os
from ctypes import c_bool, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path

import numpy as np

from formats import BLOCKS
from serve import bfloat16_bits, dense, generator, serve

#: ggml_type.
TYPES = {"f32": 0, "bf16": 30, **{name: kind for name, (kind, _, _) in BLOCKS.items()}}
#: Whole blocks of any encoding.
VALUES_ONCE = 1 << 16
TENSORS_BYTES = 1 << 20

folder = Path(os.environ["MAXLINEAR_BENCH_GGML"])
base = ctypes.CDLL(str(folder / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
cpu = ctypes.CDLL(str(folder / "libggml-cpu.so"))
random = generator()


class InitParameters(ctypes.Structure):
    _fields_ = [("mem_size", c_size_t), ("mem_buffer", c_void_p), ("no_alloc", c_bool)]


def function(library, name, result, *arguments):
    found = getattr(library, name)
    found.restype = result
    found.argtypes = arguments
    return found


init = function(base, "ggml_init", c_void_p, InitParameters)
new_tensor = function(base, "ggml_new_tensor_2d", c_void_p, c_void_p, c_int, c_int64, c_int64)
multiply = function(base, "ggml_mul_mat", c_void_p, c_void_p, c_void_p, c_void_p)
gated_silu = function(base, "ggml_swiglu_split", c_void_p, c_void_p, c_void_p, c_void_p)
new_graph = function(base, "ggml_new_graph", c_void_p, c_void_p)
expand = function(base, "ggml_build_forward_expand", None, c_void_p, c_void_p)
allocate = function(base, "ggml_backend_alloc_ctx_tensors_from_buft", c_void_p, c_void_p, c_void_p)
free_buffer = function(base, "ggml_backend_buffer_free", None, c_void_p)
free_context = function(base, "ggml_free", None, c_void_p)
set_tensor = function(base, "ggml_backend_tensor_set", None, c_void_p, c_void_p, c_size_t, c_size_t)
compute = function(base, "ggml_backend_graph_compute", c_int, c_void_p, c_void_p)
get_device = function(base, "ggml_backend_reg_dev_get", c_void_p, c_void_p, c_size_t)
get_address = function(base, "ggml_backend_reg_get_proc_address", c_void_p, c_void_p, c_char_p)
supports = function(base, "ggml_backend_dev_supports_op", c_bool, c_void_p, c_void_p)
buffer_type_name = function(base, "ggml_backend_buft_name", c_char_p, c_void_p)
quantize = function(
    base, "ggml_quantize_chunk", c_size_t, c_int, c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p
)
version = function(base, "ggml_version", c_char_p)
plain_buffer_type = function(cpu, "ggml_backend_cpu_buffer_type", c_void_p)
registration = function(cpu, "ggml_backend_cpu_reg", c_void_p)
new_backend = function(cpu, "ggml_backend_cpu_init", c_void_p)
set_threads = function(cpu, "ggml_backend_cpu_set_n_threads", None, c_void_p, c_int)


def context():
    return init(InitParameters(TENSORS_BYTES, None, True))


def buffer_types():
    """ggml's special kinds of memory, whose tensors are repacked as they are filled, then the plain one.

    Not that of AMX: with it ggml 0.25.3 ends by an illegal instruction from a few rows on.
    """
    address = get_address(registration(), b"ggml_backend_dev_get_extra_bufts")
    extra = ctypes.CFUNCTYPE(ctypes.POINTER(c_void_p), c_void_p)(address)(get_device(registration(), 0))
    found = []
    while extra and extra[len(found)]:
        found.append(extra[len(found)])
    return [*(kind for kind in found if b"AMX" not in buffer_type_name(kind)), plain_buffer_type()]


def encoded(encoding, out_dim, in_dim):
    if encoding in BLOCKS:
        # Some blocks of random values, over and over.
        kind, elements, size = BLOCKS[encoding]
        values = dense(random, 1, VALUES_ONCE)
        once = np.empty(VALUES_ONCE // elements * size, np.uint8)
        quantize(kind, values.ctypes.data, once.ctypes.data, 0, 1, VALUES_ONCE, None)
        return np.resize(once, out_dim * (in_dim // elements) * size)
    values = dense(random, out_dim, in_dim)
    return values if encoding == "f32" else bfloat16_bits(values)


def matrix(case, out_dim, in_dim):
    """A filled tensor in the first kind of memory that the backend multiplies from."""
    for kind in buffer_types():
        tensors = context()
        weight = new_tensor(tensors, TYPES[case.encoding], in_dim, out_dim)
        buffer = allocate(tensors, kind)
        product = multiply(tensors, weight, new_tensor(tensors, TYPES["f32"], in_dim, 1))
        if buffer and supports(get_device(registration(), 0), product):
            break
        free_buffer(buffer)
        free_context(tensors)
    data = encoded(case.encoding, out_dim, in_dim)
    set_tensor(weight, data.ctypes.data, 0, data.nbytes)
    return weight, buffer_type_name(kind).decode()


def build(case):
    backend = new_backend()
    set_threads(backend, case.threads)
    copies = [[matrix(case, *shape)[0] for shape in case.shapes] for _ in range(case.copies)]

    def prepare(rows):
        graphs = []
        for weights in copies:
            tensors = context()
            x = new_tensor(tensors, TYPES["f32"], case.in_dim, rows)
            if case.layer == "linear":
                y = multiply(tensors, weights[0], x)
            else:
                gate, up, down = weights
                hidden = gated_silu(tensors, multiply(tensors, gate, x), multiply(tensors, up, x))
                y = multiply(tensors, down, hidden)
            graph = new_graph(tensors)
            expand(graph, y)
            buffer = allocate(tensors, plain_buffer_type())
            data = np.ascontiguousarray(dense(random, rows, case.in_dim) * 64)
            set_tensor(x, data.ctypes.data, 0, data.nbytes)
            graphs.append((graph, tensors, buffer))
        return Graphs(backend, graphs)

    return prepare


class Graphs:
    """The graphs of one M, which give their memory back when they are no longer called."""

    def __init__(self, backend, graphs):
        self.backend, self.graphs = backend, graphs

    def __call__(self, copy):
        if compute(self.backend, self.graphs[copy][0]) != 0:
            raise RuntimeError("ggml_backend_graph_compute failed")

    def __del__(self):
        for _, tensors, buffer in self.graphs:
            free_buffer(buffer)
            free_context(tensors)


serve(f"ggml {version().decode()}", build)
