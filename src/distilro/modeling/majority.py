"""The majority model: what one would answer without reading, from the labels' frequencies alone.

Whatever does not beat it has learned nothing. Its logits are the logarithms of the classes'
frequencies, or of the odds of each label, so that their softmax or sigmoid gives them back.

Axes: N texts, L labels.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from distilro.artifacts import read_json, write_atomically, write_json
from distilro.corpora.examples import Examples, Task
from distilro.errors import IntegrityError, SettingsError

FORMAT = "distilro-majority"
VERSION = 1

_PRIOR = 0.5  # rows added to each count, so that a label that never occurs has a finite logit


@dataclass(frozen=True)
class MajorityModel:
    """The logits of one task, the same for every text."""

    task: Task
    logits: np.ndarray  # float32 [L]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Return the one task that the model scores."""
        return (self.task,)

    def score(self, task: str, texts: Sequence[str]) -> np.ndarray:
        """Return logits, float32 [N, L], whatever the texts are."""
        if task != self.task.name:
            raise SettingsError(
                f"The majority model was fitted for task {self.task.name!r}, not {task!r}. "
                "Score each task with its own model."
            )
        return np.tile(self.logits, (len(texts), 1))

    def save(self, folder: str | Path) -> None:
        """Write model.safetensors and config.json into `folder`, each atomically."""
        folder = Path(folder)
        with write_atomically(folder / "model.safetensors") as temporary:
            save_file({"logits": self.logits}, temporary)
        task = {**asdict(self.task), "labels": list(self.task.labels)}
        write_json(folder / "config.json", {"format": FORMAT, "version": VERSION, "tasks": [task]})


def fit_majority(examples: Examples) -> MajorityModel:
    """Count the labels where they are observed; a row with a set of labels counts in shares."""
    target = (examples.target > 0) & examples.observed  # [N, L]
    if examples.task.kind == "multi_class":
        counts = (target / np.maximum(target.sum(axis=1, keepdims=True), 1)).sum(axis=0)
        logits = np.log((counts + _PRIOR) / (counts + _PRIOR).sum())
    else:
        present = target.sum(axis=0)
        absent = examples.observed.sum(axis=0) - present
        logits = np.log((present + _PRIOR) / (absent + _PRIOR))
    return MajorityModel(examples.task, logits.astype(np.float32))


def load_majority(folder: str | Path) -> MajorityModel:
    """Read a saved model.

    Raises:
        IntegrityError: a file is absent, malformed or of another version, or the two disagree.
    """
    folder = Path(folder)
    config = read_json(folder / "config.json")
    found = (config.get("format"), config.get("version"))
    if found != (FORMAT, VERSION):
        raise IntegrityError(
            f"{folder / 'config.json'}: expected {(FORMAT, VERSION)}, got {found}. Train again."
        )
    try:
        (described,) = config["tasks"]
        task = Task(described["name"], described["kind"], tuple(described["labels"]))
        logits = load_file(folder / "model.safetensors")["logits"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"{folder}: the majority model cannot be read ({type(error).__name__}: {error}). "
            "Delete the folder and train the model again."
        ) from error
    if logits.shape != (len(task.labels),) or not np.isfinite(logits).all():
        raise IntegrityError(
            f"{folder / 'model.safetensors'}: expected a finite logit for each of "
            f"{len(task.labels)} labels. Delete the folder and train the model again."
        )
    return MajorityModel(task, logits)
