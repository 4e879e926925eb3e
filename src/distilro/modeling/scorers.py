"""Any trained model as a source of logits: the linear baseline or an encoder with heads.

Torch is loaded only for the latter.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from distilro.artifacts import read_json
from distilro.errors import IntegrityError


class Scorer(Protocol):
    """What predictions and the logits store need of a model."""

    def score(self, task: str, texts: Sequence[str]) -> np.ndarray:
        """Return logits, float32 [N, L], of normalised texts, in their order."""


def load_scorer(folder: str | Path, device: str = "cpu") -> Scorer:
    """Read the model in `folder`, whatever its kind."""
    folder = Path(folder)
    model_format = read_json(folder / "config.json").get("format")
    if model_format == "distilro-linear":
        from distilro.modeling.linear import load_linear  # noqa: PLC0415 - scikit-learn: a second

        return load_linear(folder)
    if model_format == "distilro-encoder":
        from distilro.modeling.heads import load_classifier  # noqa: PLC0415 - torch: seconds

        return load_classifier(folder, device=device)
    raise IntegrityError(
        f"{folder / 'config.json'}: expected the format of a model of ours, got {model_format!r}."
    )
