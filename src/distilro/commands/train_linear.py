"""Train the baseline of one task: the linear model, or the one that knows frequencies alone."""

import argparse
from pathlib import Path

import numpy as np

from distilro.artifacts import hash_file, write_json
from distilro.cards import list_versions, record_run
from distilro.corpora.examples import Examples, read_examples
from distilro.distillation.folds import FoldSettings
from distilro.evaluation.validation import score_logits
from distilro.modeling.linear import LinearModel, fit_linear
from distilro.modeling.majority import MajorityModel, fit_majority
from distilro.recipes import name_stage
from distilro.settings import LinearSettings, Recipe, Section, check_section


class BaselineSettings(Section):
    """What the training of one baseline depends on."""

    recipe: Recipe
    tasks: tuple[str, ...]
    linear: LinearSettings
    validation: dict[str, str]
    seed: int
    folds: FoldSettings | None = None

    @property
    def stage(self) -> str:
        """Return the name of the one stage."""
        return name_stage(self.recipe.stages[-1])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--cell", required=True, help="RECIPE/SCOPE")
    parser.add_argument("--settings", required=True, help="JSON of BaselineSettings")
    parser.add_argument("--prepared", required=True, type=Path, help="data/prepared")
    parser.add_argument("--results", required=True, type=Path, help="results/<scenario>")


def run(arguments: argparse.Namespace) -> None:
    """Fit the model of the stage's mixture and write it with its card."""
    settings = check_section(BaselineSettings, arguments.settings)
    recipe, scope = arguments.cell.split("/")
    (task,) = settings.tasks
    mixture = arguments.results / "mixtures" / task / f"{settings.stage}.parquet"
    folder = arguments.results / "models" / recipe / scope / f"seed{settings.seed}"
    valid = read_examples(arguments.prepared / settings.validation[task] / "valid.parquet")
    with record_run(arguments.results / "records", "train", f"{recipe}-{scope}", threads=1):
        model = fit(settings, read_examples(mixture))
        model.save(folder)
        card = {
            **describe(model, settings, (recipe, scope), valid),
            "settings": settings.model_dump(mode="json"),
            "mixtures": {f"{task}/{mixture.stem}": hash_file(mixture)},
            "parameters": count_parameters(model),
            "weights": hash_file(folder / "model.safetensors"),
            "tokenizer": hash_file(folder / "config.json"),
            "versions": list_versions(),
        }
        write_json(folder / "card.json", card)


def fit(settings: BaselineSettings, examples: Examples) -> LinearModel | MajorityModel:
    """Return the baseline that a recipe asks for."""
    if settings.recipe.kind == "majority":
        return fit_majority(examples)
    return fit_linear(examples, settings.linear, settings.seed)


def describe(
    model: LinearModel | MajorityModel,
    settings: BaselineSettings,
    cell: tuple[str, str],
    valid: Examples,
) -> dict:
    """Return what every card of this baseline says."""
    logits = model.score(valid.task.name, valid.text)
    score = score_logits(valid.task, logits, valid.target, valid.observed)
    return {
        "recipe": cell[0],
        "scope": cell[1],
        "seed": settings.seed,
        "tasks": list(settings.tasks),
        "valid": {valid.task.name: score},
        "max_tokens": 0,
    }


def count_parameters(model: LinearModel | MajorityModel) -> int:
    """Return how many numbers were fitted."""
    if isinstance(model, MajorityModel):
        return int(np.size(model.logits))
    return int(model.coefficients.size + model.intercepts.size)
