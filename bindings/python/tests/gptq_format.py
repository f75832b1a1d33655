"""GPTQ's and AWQ's tensors and what they mean, in numpy, from the formats' definitions alone."""

import numpy as np

#: The output whose code is in each nibble of an AWQ word, from the lowest up.
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def groups_of(in_dim, group_size):
    return 1 if group_size == -1 else -(-in_dim // group_size)


def tensors(
    random, in_dim, out_dim, group_size, *, sym=False, act_order=False, stored="gptq", scales=np.float16, bits=4
):
    """Random tensors. stored: "gptq" (zero - 1), "gptq_v2" (zero) or "awq"."""
    groups = groups_of(in_dim, group_size)
    size = in_dim if group_size == -1 else group_size
    codes = random.integers(0, 1 << bits, (in_dim, out_dim))
    low = 1 if stored == "gptq" else 0
    middle = np.full((groups, out_dim), 1 << (bits - 1))
    zeros = middle if sym else random.integers(low, (1 << bits) + low, (groups, out_dim))
    g_idx = (np.arange(in_dim) // size).astype(np.int32)
    if act_order:
        g_idx = random.permutation(g_idx)
    # As large weights whatever the bits.
    steps = (random.random((groups, out_dim)) * 0.02 + 0.002) * 16 / (1 << bits)
    state = {
        "qweight": pack_awq(codes) if stored == "awq" else pack(codes.T, bits).T.copy(),
        "qzeros": pack_awq(zeros) if stored == "awq" else pack(zeros - low, bits),
        "scales": steps.astype(scales),
        "g_idx": g_idx,
    }
    if stored == "awq":
        del state["g_idx"]
    return state


def pack(codes, bits=4):
    """Codes along the last axis, a word's from its lowest bits up; 3 bits by 32 codes in three words. The last words are filled up with zeros."""
    together, words = (32, 3) if bits == 3 else (32 // bits, 1)
    count = -(-codes.shape[-1] // together)
    filled = np.zeros((*codes.shape[:-1], together * count), np.uint64)
    filled[..., : codes.shape[-1]] = codes
    runs = filled.reshape(*codes.shape[:-1], count, together)
    result = np.zeros((*codes.shape[:-1], count, words), np.uint64)
    if bits == 3:
        # Ten codes, two bits of the next; its third, ten codes, one bit of the next; its others, ten codes.
        for place in range(10):
            result[..., 0] |= runs[..., place] << np.uint64(3 * place)
            result[..., 1] |= runs[..., 11 + place] << np.uint64(3 * place + 1)
            result[..., 2] |= runs[..., 22 + place] << np.uint64(3 * place + 2)
        result[..., 0] |= (runs[..., 10] & np.uint64(3)) << np.uint64(30)
        result[..., 1] |= runs[..., 10] >> np.uint64(2)
        result[..., 1] |= (runs[..., 21] & np.uint64(1)) << np.uint64(31)
        result[..., 2] |= runs[..., 21] >> np.uint64(1)
    else:
        for place in range(together):
            result[..., 0] |= runs[..., place] << np.uint64(bits * place)
    return result.reshape(*codes.shape[:-1], -1).astype(np.uint32).view(np.int32)


def unpack(words, count, bits=4):
    """The inverse, by the single bits."""
    stream = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=-1, bitorder="little")
    stream = stream[..., : stream.shape[-1] // bits * bits]
    codes = stream.reshape(*stream.shape[:-1], -1, bits)[..., :count, :]
    return (codes.astype(np.int64) << np.arange(bits)).sum(-1)


def pack_awq(codes):
    """Codes of 4 bits along the last axis, a multiple of 8, eight a word in AWQ's order."""
    runs = codes.reshape(*codes.shape[:-1], -1, 8)[..., AWQ_ORDER]
    return pack(runs.reshape(codes.shape))


def unpack_awq(words):
    codes = unpack(words, 8 * words.shape[-1]).reshape(*words.shape, 8)
    return codes[..., np.argsort(AWQ_ORDER)].reshape(*words.shape[:-1], -1)


def dequantized(state, stored="gptq", bits=4):
    """W (out_dim, in_dim) in float64: scale (code - zero). AWQ has no g_idx: groups are as long as they can be."""
    groups, out_dim = state["scales"].shape
    if stored == "awq":
        codes = unpack_awq(state["qweight"])
    else:
        qweight = np.ascontiguousarray(state["qweight"].T)
        codes = unpack(qweight, 32 * qweight.shape[1] // bits, bits).T
    zeros = np.full((groups, out_dim), 1 << (bits - 1))
    if "qzeros" in state:
        low = 1 if stored == "gptq" else 0
        zeros = unpack_awq(state["qzeros"]) if stored == "awq" else unpack(state["qzeros"], out_dim, bits) + low
    g_idx = state["g_idx"] if "g_idx" in state else np.arange(len(codes)) // -(-len(codes) // groups)
    return (state["scales"].astype(np.float64)[g_idx] * (codes - zeros[g_idx])).T
