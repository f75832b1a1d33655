"""GPTQ tensors and what they mean, in numpy, from the format's definition alone."""

import numpy as np


def groups_of(in_dim, group_size):
    return 1 if group_size == -1 else -(-in_dim // group_size)


def tensors(random, in_dim, out_dim, group_size, *, sym=False, act_order=False, stored="gptq", scales=np.float16):
    """Random tensors. stored: "gptq" (zero - 1) or "gptq_v2" (zero)."""
    groups = groups_of(in_dim, group_size)
    size = in_dim if group_size == -1 else group_size
    codes = random.integers(0, 16, (in_dim, out_dim))
    low = 1 if stored == "gptq" else 0
    zeros = np.full((groups, out_dim), 8) if sym else random.integers(low, 16 + low, (groups, out_dim))
    g_idx = (np.arange(in_dim) // size).astype(np.int32)
    if act_order:
        g_idx = random.permutation(g_idx)
    return {
        "qweight": pack(codes.T).T.copy(),
        "qzeros": pack(zeros - low),
        "scales": (random.random((groups, out_dim)) * 0.02 + 0.002).astype(scales),
        "g_idx": g_idx,
    }


def pack(codes):
    """Codes of 4 bits along the last axis, eight a word, least significant first; the last word filled up with zeros."""
    count = -(-codes.shape[-1] // 8)
    filled = np.zeros((*codes.shape[:-1], 8 * count), np.uint32)
    filled[..., : codes.shape[-1]] = codes
    shifts = np.arange(8, dtype=np.uint32) * 4
    words = (filled.reshape(*codes.shape[:-1], count, 8) << shifts).sum(-1, dtype=np.uint64)
    return words.astype(np.uint32).view(np.int32)


def unpack(words, count):
    shifts = np.arange(8, dtype=np.uint32) * 4
    codes = words.view(np.uint32)[..., None] >> shifts & 15
    return codes.reshape(*words.shape[:-1], -1)[..., :count].astype(np.int64)


def dequantized(state, stored="gptq"):
    """W (out_dim, in_dim) in float64: scale (code - zero)."""
    qweight = np.ascontiguousarray(state["qweight"].T)
    out_dim, in_dim = qweight.shape[0], 8 * qweight.shape[1]
    codes = unpack(qweight, in_dim).T
    groups = state["scales"].shape[0]
    zeros = np.full((groups, out_dim), 8)
    if "qzeros" in state:
        zeros = unpack(state["qzeros"], out_dim) + (1 if stored == "gptq" else 0)
    g_idx = state["g_idx"]
    return (state["scales"].astype(np.float64)[g_idx] * (codes - zeros[g_idx])).T
