"""From logits to probabilities, once for teachers, predictions and validation. No torch."""

import numpy as np

from distilro.corpora.examples import KINDS
from distilro.errors import DataError


def compute_probabilities(kind: str, logits: np.ndarray) -> np.ndarray:
    """Return float32 [N, L]: the softmax of a multi-class task's logits, else their sigmoid.

    >>> compute_probabilities("multi_class", np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    if kind not in KINDS:
        raise DataError(f"Unknown kind of task {kind!r}; expected one of {', '.join(KINDS)}.")
    logits = np.asarray(logits, dtype=np.float64)
    if kind == "multi_label":
        # subtle: tanh never overflows, exp(-x) does.
        return (0.5 * (1 + np.tanh(logits / 2))).astype(np.float32)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
