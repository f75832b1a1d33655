"""torch on CPU: f32, bf16, and GPTQ as its int4pack weights with bfloat16 activations."""

import torch

from serve import GROUP, serve


def linear(case, out_dim, in_dim):
    """A function of x that is one matrix."""
    if case.encoding in ("f32", "bf16"):
        dtype = torch.float32 if case.encoding == "f32" else torch.bfloat16
        weight = (torch.randn(out_dim, in_dim) / 64).to(dtype)
        return lambda x: torch.nn.functional.linear(x, weight)
    codes = torch.randint(0, 16, (out_dim, in_dim), dtype=torch.int32)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
    scales_zeros = torch.rand(in_dim // GROUP, out_dim, 2).bfloat16() / 64
    order = torch.randperm(in_dim) if case.has_order else None

    def run(x):
        x = x if order is None else x.index_select(1, order)
        return torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, GROUP, scales_zeros)

    return run


def build(case):
    torch.set_num_threads(case.threads)
    copies = [[linear(case, *shape) for shape in case.shapes] for _ in range(case.copies)]

    def prepare(rows):
        x = torch.randn(rows, case.in_dim)
        x = x if case.encoding == "f32" else x.bfloat16()

        @torch.inference_mode()
        def run(copy):
            if case.layer == "linear":
                return copies[copy][0](x)
            gate, up, down = copies[copy]
            return down(torch.nn.functional.silu(gate(x)) * up(x))

        return run

    return prepare


serve(f"torch {torch.__version__.split('+')[0]}", build)
