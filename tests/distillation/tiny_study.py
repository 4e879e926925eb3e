"""A study in small: cells of any recipe, trained by the real commands in one folder of results."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from distilro.artifacts import read_json
from distilro.cli import main
from tests.faults.cells import SETTINGS, make_cell


class TinyStudy:
    """Trains cells `<name>/<tasks joined by +>` and hands back their weights and cards."""

    def __init__(self, folder: Path) -> None:
        self.cell = make_cell(folder / "inputs", folder / "results")
        self.results = self.cell.results
        self.trained: dict[str, list[str]] = {}  # cell -> the arguments that it was trained with

    def describe(self, recipe: dict, tasks: Sequence[str], **settings: object) -> dict:
        """Return the settings of a cell, as the workflow would describe them."""
        validation = {task: f"valid_{task}" for task in tasks}
        scope = "task" if len(tasks) == 1 else "all"
        told = {"scope": scope, **recipe}
        common = {"recipe": told, "tasks": list(tasks), "validation": validation}
        return {**SETTINGS, "seeds": [0], **common, **settings}

    def train(
        self,
        name: str,
        recipe: dict,
        tasks: Sequence[str] = ("sentiment",),
        *,
        seed: int = 0,
        **settings: object,
    ) -> dict[str, Tensor]:
        """Train a cell, unless that is what it is, and return the weights of a seed's model."""
        cell = replace(self.cell, name=f"{name}/{'+'.join(tasks)}")
        argv = cell.list_arguments(**self.describe(recipe, tasks, **settings))
        if self.trained.get(cell.name) != argv:
            assert main(argv) == 0
            self.trained[cell.name] = argv
        return load_file(self.find_model(name, tasks, seed) / "model.safetensors")

    def train_folds(self, name: str, recipe: dict, mixtures: Sequence[str], **settings) -> int:
        """Train the fold models of a cell of one task and return the command's exit code."""
        cell = replace(self.cell, name=f"{name}/sentiment")
        told = self.describe(recipe, ("sentiment",), **settings)
        return main(
            ["train-folds", *cell.list_common_arguments(told), "--mixtures"]
            + [f"sentiment-{mixture}" for mixture in mixtures]
            + ["--checkpoint-seconds", "0"]
        )

    def ask(self, name: str, mixture: str, seeds: Sequence[int] = (0,)) -> None:
        """Store what a cell's models say about a mixture of the task sentiment."""
        path = self.results / "mixtures" / "sentiment" / f"{mixture}.parquet"
        argv = ["logits", "--cell", f"{name}/sentiment", "--task", "sentiment"]
        argv += ["--mixture", str(path), "--results", str(self.results), "--seeds"]
        assert main([*argv, *map(str, seeds)]) == 0

    def find_model(self, name: str, tasks: Sequence[str] = ("sentiment",), seed: int = 0) -> Path:
        return self.results / "models" / name / "+".join(tasks) / f"seed{seed}"

    def read_card(self, name: str, tasks: Sequence[str] = ("sentiment",), seed: int = 0) -> dict:
        return read_json(self.find_model(name, tasks, seed) / "card.json")


def teach(*teachers: str, seeds: Sequence[int] = (0,), **fields: object) -> tuple[dict, dict]:
    """Return the recipe of a student of teachers on Romanian rows, and its further settings."""
    recipe = {"stages": [{"ro": 1.0}], "teachers": teachers, "anneal": 0.5, **fields}
    scopes = {teacher: {"sentiment": "sentiment"} for teacher in teachers}
    return recipe, {
        "teacher_scopes": scopes,
        "teacher_seeds": {teacher: list(seeds) for teacher in teachers},
    }


def start_from(recipe: str, tasks: Sequence[str] = ("sentiment",)) -> dict:
    """Return the settings of a cell whose models start from another one's."""
    return {"start": {"recipe": recipe, "scope": "+".join(tasks), "seeds": [0]}}


def is_same(weights: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    """Return whether two models are equal to the last bit."""
    if weights.keys() != others.keys():
        return False
    pairs = [(weight, others[name]) for name, weight in weights.items()]
    return all(a.shape == b.shape and bool((a == b).all()) for a, b in pairs)
