"""A cell that is trained in a moment: its encoder, its mixtures, and the command's arguments."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from distilro.corpora.examples import concatenate, write_examples
from tests.corpora.handmade import EMOTION, SENTIMENT, make_examples
from tests.modeling.tiny import TEXTS, write_encoder

TASKS = (SENTIMENT, EMOTION)
STAGES = ({"en": 1.0}, {"ro": 1.0})
ROWS = {"sentiment": 9, "emotion": 5}  # batches of 4, 4, 1 and of 4, 1

SETTINGS = {
    "recipe": {"scope": "all", "stages": STAGES, "sampling": "annealed"},
    "tasks": list(ROWS),
    "seeds": [0, 1],
    "max_tokens": 24,
    "pooling": "mean",
    "dropout": 0.1,
    "encoder_dropout": 0.1,
    "attention_dropout": 0.1,
    "precision": "fp32",
    "packing": "padded",
    "processes": 1,
    "warmup_share": 0.1,
    "weight_decay": 0.01,
    "layer_decay": 0.9,
    "clip_norm": 1.0,
    "folds": {"count": 2, "salt": "13"},
    "schedule": {
        "epochs": 2,
        "learning_rate": 1e-3,
        "batch_examples": 4,
        "batch_tokens": 4096,
    },
    "validation": {task: f"valid_{task}" for task in ROWS},
    "teacher_scopes": {},
    "teacher_seeds": {},
}


@dataclass(frozen=True)
class TinyCell:
    """Where a cell's inputs lie, and where its results go."""

    inputs: Path
    results: Path
    name: str = "multi/all"

    @property
    def checkpoints(self) -> Path:
        return self.results / "checkpoints" / self.name

    def list_arguments(self, **settings: object) -> list[str]:
        """Return the command's arguments; a checkpoint is written after every step."""
        return ["train", *self.list_common_arguments(settings), "--checkpoint-seconds", "0"]

    def list_common_arguments(self, settings: Mapping[str, object]) -> list[str]:
        """Return the arguments that every command has which trains a cell."""
        argv = ["--cell", self.name, "--settings", json.dumps({**SETTINGS, **settings})]
        argv += ["--encoder", str(self.inputs / "encoder"), "--prepared", str(self.inputs)]
        return [*argv, "--results", str(self.results)]

    def read_step(self, training: str) -> int | None:
        """Return how many steps the checkpoint of a training (seed0-stage1, say) has, if any."""
        index = self.checkpoints / training / "checkpoint.json"
        return json.loads(index.read_text(encoding="utf-8"))["step"] if index.exists() else None

    def read_models(self) -> dict[str, bytes]:
        """Return every file of every model by its path, cards included."""
        models = self.results / "models"
        files = sorted(path for path in models.rglob("*") if path.is_file())
        return {str(path.relative_to(models)): path.read_bytes() for path in files}

    def read_card(self, seed: int = 0) -> dict:
        path = self.results / "models" / self.name / f"seed{seed}" / "card.json"
        return json.loads(path.read_text(encoding="utf-8"))

    def find_torn_files(self) -> list[Path]:
        return sorted(self.results.rglob(".writing-*"))


def make_cell(inputs: Path, results: Path) -> TinyCell:
    """Write what a cell of two tasks and two stages needs, unless it is there already."""
    if not inputs.exists():
        write_encoder(inputs / "encoder")
        for task in TASKS:
            write_examples(inputs / f"valid_{task.name}" / "valid.parquet", _draw(task, "valid"))
    for task in TASKS:
        parts = {language: _draw(task, language) for language in ("en", "ro")}
        both = concatenate([parts["ro"], parts["en"]])
        for name, part in {"en1": parts["en"], "ro1": parts["ro"], "ro1-en1": both}.items():
            write_examples(results / "mixtures" / task.name / f"{name}.parquet", part)
    return TinyCell(inputs, results)


def _draw(task, dataset):
    rows = [
        (f"{TEXTS[row % len(TEXTS)]} {dataset} {row}", task.labels[row % len(task.labels)])
        for row in range(ROWS[task.name])
    ]
    split = "valid" if dataset == "valid" else "train"
    examples = make_examples(
        rows, dataset, split, task=task, lang="en" if dataset == "en" else "ro"
    )
    if dataset != "ro":
        return examples
    votes = examples.votes.copy()
    votes[::2] = (0.75 * examples.target + 0.25 / len(task.labels))[::2]
    return replace(examples, votes=votes)
