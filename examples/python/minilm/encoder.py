"""all-MiniLM-L6-v2, a sentence encoder: every linear layer in maxlinear, the rest in numpy.

The model is BERT with 6 layers, hidden size 384, 12 heads. A sentence's embedding is the mean of its tokens' last
hidden states, scaled to length 1.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from maxlinear import quantize, quantize_float8
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationEncoding
from maxlinear.graph.weights import Weights, load_weights
from maxlinear.nn.linear import LinearV2

Array = NDArray[Any]
Linear = Callable[[Array], Array]


def erf(x: Array) -> Array:
    """The error function, to 1e-8 in float64 and 2e-7 in float32: tanh(x p(x²)), x clipped to ±4."""
    x = np.clip(x, x.dtype.type(-4), x.dtype.type(4))
    square = x * x
    p = np.zeros_like(x)
    for coefficient in reversed(ERF):
        p = p * square + x.dtype.type(coefficient)
    y: Array = np.tanh(x * p)
    return y


#: p, fitted to atanh(erf(x)) / x on 0 < x <= 4 for the least greatest error of erf, lowest power of x² first.
ERF = (
    1.128379248, 0.1027713869, -0.0002042963866, -0.0005983090017, 7.124496912e-05,
    6.498123611e-07, -1.154061285e-06, 1.411124063e-07, -7.602568728e-09, 1.588468529e-10,
)  # fmt: skip


class Timed:
    """A layer of maxlinear that adds up the time of its calls."""

    seconds = 0.0

    def __init__(self, layer: LinearV2) -> None:
        self.layer = layer

    def __call__(self, x: Array) -> Array:
        start = time.perf_counter()
        y = self.layer(x)
        Timed.seconds += time.perf_counter() - start
        return y


#: What a matrix is stored in where its rows are no whole number of an encoding's blocks.
FALLBACK = "Q8_0"


#: Encodings without blocks.
FLOATS = {
    "F32": DType.float32,
    "F16": DType.float16,
    "BF16": DType.bfloat16,
    "F8_E4M3": DType.float8_e4m3fn,
    "F8_E5M2": DType.float8_e5m2,
}


def encodings() -> list[str]:
    """All that a linear layer's weights can be stored in, by the library's own list."""
    return [*FLOATS, *(encoding.name for encoding in QuantizationEncoding.all())]


def linear(weights: Weights, encoding: str) -> Timed:
    """A layer whose bias, and whose weight where it stays float32, are mapped from the file."""
    out_dim, in_dim = weights.weight.data().shape
    dtype = FLOATS.get(encoding, DType.uint8)
    state: dict[str, Any] = {"weight": weights.weight, "bias": weights.bias}
    blocks = None
    if encoding.startswith("F8"):
        state |= quantize_float8(weights.weight.numpy(), dtype)
    elif encoding not in FLOATS:
        state["weight"] = quantize(weights.weight.numpy(), encoding, fallback=FALLBACK)
        blocks = state["weight"].quantization_encoding
    layer = LinearV2(in_dim, out_dim, dtype, has_bias=True, quantization_encoding=blocks)
    layer.load_state_dict(state)
    layer.prepare()
    return Timed(layer)


class Encoder:
    """The model of a folder: model.safetensors, config.json, tokenizer.json and sentence_bert_config.json.

    encoding: of the linear layers' weights.
    """

    def __init__(self, folder: Path, encoding: str = "F32") -> None:
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = load_weights(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_padding()
        # Fewer tokens than the model has positions for: what it was trained on, and what others cut sentences to.
        limits = json.loads((folder / "sentence_bert_config.json").read_text())
        self.tokenizer.enable_truncation(limits["max_seq_length"])
        self.linears = {name: linear(self.weights[name], encoding) for name in self.linear_names()}

    def linear_names(self) -> list[str]:
        """The 36 linear layers of the encoder. (The file also has a pooler, which sentence embeddings do not use.)"""
        parts = (
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        )
        return [f"encoder.layer.{i}.{part}" for i in range(self.config["num_hidden_layers"]) for part in parts]

    def parameter(self, name: str) -> Array:
        """A tensor of the file, in place."""
        return self.weights[name].numpy()

    def linear(self, name: str) -> Linear:
        return self.linears[name]

    def erf(self, x: Array) -> Array:
        return erf(x)

    def batches(self, sentences: list[str], size: int = 16) -> Iterator[tuple[list[int], Array, Array]]:
        """Sentences of like length together: their places, token numbers and mask, each (batch, length)."""
        order = sorted(range(len(sentences)), key=lambda place: len(sentences[place]))
        for start in range(0, len(order), size):
            places = order[start : start + size]
            encoded = self.tokenizer.encode_batch([sentences[place] for place in places])
            yield (
                places,
                np.array([e.ids for e in encoded]),
                np.array([e.attention_mask for e in encoded]),
            )

    def embed(self, sentences: list[str], progress: Callable[[int], Any] = lambda _: None) -> Array:
        """(sentences, hidden size), each row of length 1."""
        rows: list[Array] = [np.empty(0)] * len(sentences)
        for places, tokens, mask in self.batches(sentences):
            for place, row in zip(places, self.forward(tokens, mask), strict=True):
                rows[place] = row
            progress(len(places))
        return np.stack(rows)

    def forward(self, tokens: Array, mask: Array) -> Array:
        """Token numbers and mask (batch, length) to embeddings (batch, hidden size)."""
        x = self.parameter("embeddings.word_embeddings.weight")[tokens]
        x = x + self.parameter("embeddings.position_embeddings.weight")[: tokens.shape[1]]
        x = x + self.parameter("embeddings.token_type_embeddings.weight")[0]
        x = self.normalize(x, "embeddings.LayerNorm")
        hidden = np.where(mask[:, None, None, :] == 1, 0, -np.inf).astype(x.dtype)
        for i in range(self.config["num_hidden_layers"]):
            name = f"encoder.layer.{i}"
            x = self.normalize(
                x + self.attention(x, hidden, f"{name}.attention"),
                f"{name}.attention.output.LayerNorm",
            )
            h = self.gelu(self.linear(f"{name}.intermediate.dense")(x))
            x = self.normalize(x + self.linear(f"{name}.output.dense")(h), f"{name}.output.LayerNorm")
        weights = mask[:, :, None].astype(x.dtype)
        mean = (x * weights).sum(1) / weights.sum(1)
        embeddings: Array = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return embeddings

    def attention(self, x: Array, hidden: Array, name: str) -> Array:
        """Softmax(Q Kᵀ / √d + hidden) V, head by head, and the output projection. hidden is -∞ on padding."""
        batch, length, width = x.shape
        heads = self.config["num_attention_heads"]

        def split(part: str) -> Array:
            projected = self.linear(f"{name}.self.{part}")(x)
            return projected.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)

        query, key, value = split("query"), split("key"), split("value")
        scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(np.array(width // heads, x.dtype)) + hidden
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ value
        return self.linear(f"{name}.output.dense")(mixed.transpose(0, 2, 1, 3).reshape(batch, length, width))

    def normalize(self, x: Array, name: str) -> Array:
        """LayerNorm over the last dimension."""
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(-1, keepdims=True) + x.dtype.type(self.config["layer_norm_eps"]))
        y: Array = centred / deviation * self.parameter(f"{name}.weight") + self.parameter(f"{name}.bias")
        return y

    def gelu(self, x: Array) -> Array:
        """x Φ(x), with the error function itself, not its tanh approximation."""
        y: Array = x * 0.5 * (1 + self.erf(x / np.sqrt(np.array(2, x.dtype))))
        return y
