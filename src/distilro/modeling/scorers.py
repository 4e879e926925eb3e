"""Any trained model as a source of logits: a baseline or an encoder with heads.

Torch is loaded only for the latter.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from distilro.artifacts import read_json
from distilro.corpora.examples import Task
from distilro.errors import IntegrityError
from distilro.modeling.majority import load_majority


class Scorer(Protocol):
    """What predictions and the logits store need of a model."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Return the tasks that the model scores."""

    def score(self, task: str, texts: Sequence[str]) -> np.ndarray:
        """Return logits, float32 [N, L], of normalised texts, in their order."""


def load_scorer(folder: str | Path, *, device: str = "cpu", threads: int = 1) -> Scorer:
    """Read the model in `folder`, whatever its kind.

    Args:
        folder: where it lies.
        device: "cpu" or "cuda", for a neural model.
        threads: CPU threads, for a neural model.

    Raises:
        IntegrityError: the folder holds no model of ours, or a damaged one.
    """
    folder = Path(folder)
    model_format = read_json(folder / "config.json").get("format")
    if model_format == "distilro-linear":
        from distilro.modeling.linear import load_linear  # noqa: PLC0415 - scikit-learn: a second

        return load_linear(folder)
    if model_format == "distilro-majority":
        return load_majority(folder)
    if model_format == "distilro-encoder":
        import torch  # noqa: PLC0415 - seconds

        from distilro.modeling.heads import load_classifier  # noqa: PLC0415 - torch again
        from distilro.modeling.precision import choose_device  # noqa: PLC0415 - torch again

        torch.set_num_threads(threads)
        return load_classifier(folder, device=choose_device(device))
    raise IntegrityError(
        f"{folder / 'config.json'}: expected the format of a model of ours, got {model_format!r}."
    )
