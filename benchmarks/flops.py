"""Model FLOPs utilisation (MFU): the share of a device's arithmetic that went into the model.

    MFU = FLOPs / seconds / peak

    FLOPs = 6 * P * sum(n) + 12 * L * H * sum(n^2), over all texts of all epochs

with P the encoder's parameters without its embeddings, n the real tokens of a text (padding counts
as nothing), L layers and H the width of a state. The first term is 2 FLOPs per parameter and token
forwards and 4 backwards; the second is attention: scores and weighted sum cost 4 * H * n^2 per
layer forwards, and twice that backwards. Heads and embeddings count as nothing, and so do the
passes over the validation texts, although the seconds hold them: the figure errs low.

Source: Chowdhery et al. 2022, "PaLM", appendix B, with the texts' own lengths.
"""

from collections.abc import Iterable

import numpy as np
from torch import nn


def count_parameters(encoder: nn.Module) -> int:
    """Return the parameters of an encoder without its embeddings."""
    return sum(
        parameter.numel()
        for name, parameter in encoder.named_parameters()
        if not name.startswith("embeddings.")
    )


def count_flops(
    lengths: Iterable[int], *, epochs: int, parameters: int, layers: int, hidden: int
) -> float:
    """Return the FLOPs of training on texts of these lengths, each once an epoch.

    >>> count_flops([10], epochs=1, parameters=100, layers=1, hidden=2)
    8400.0
    """
    tokens = np.asarray(list(lengths), dtype=np.float64)
    dense = 6.0 * parameters * tokens.sum()
    attention = 12.0 * layers * hidden * (tokens**2).sum()
    return float(epochs * (dense + attention))


def compute_mfu(flops: float, seconds: float, peak_tflops: float | None) -> float | None:
    """Return the utilisation in [0, 1], or None where the peak is not known."""
    return None if peak_tflops is None else flops / seconds / (peak_tflops * 1e12)
