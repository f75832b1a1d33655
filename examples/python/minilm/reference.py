"""The same model in float64 numpy, to compare with."""

from __future__ import annotations

import math

import numpy as np

from encoder import Array, Encoder, Linear


class Reference(Encoder):
    """An encoder whose every parameter is float64 and whose linear layers are numpy's matrix products."""

    def __init__(self, encoder: Encoder) -> None:
        self.config = encoder.config
        self.weights = encoder.weights
        self.tokenizer = encoder.tokenizer
        self.parameters: dict[str, Array] = {}

    def parameter(self, name: str) -> Array:
        if name not in self.parameters:
            self.parameters[name] = self.weights[name].numpy().astype(np.float64)
        return self.parameters[name]

    def linear(self, name: str) -> Linear:
        weight, bias = self.parameter(f"{name}.weight"), self.parameter(f"{name}.bias")
        return lambda x: x @ weight.T + bias

    def erf(self, x: Array) -> Array:
        y: Array = np.vectorize(math.erf, otypes=[np.float64])(x)
        return y


def least_cosine(embeddings: Array, others: Array) -> float:
    """The least cosine of a row to the same row of the others, in float64. Not a number where a row is not."""
    a, b = embeddings.astype(np.float64), others.astype(np.float64)
    return float(((a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).min())
