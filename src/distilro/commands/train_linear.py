"""Train the linear baseline of one task."""

import argparse
from pathlib import Path

from distilro.artifacts import hash_file, write_json
from distilro.cards import list_versions, record_run
from distilro.corpora.examples import read_examples
from distilro.modeling.linear import fit_linear
from distilro.recipes import name_stage
from distilro.settings import LinearSettings, Recipe, Section, check_section


class TrainLinearSettings(Section):
    """What the training of one linear cell depends on."""

    recipe: Recipe
    tasks: tuple[str, ...]
    linear: LinearSettings
    seed: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--cell", required=True, help="RECIPE/SCOPE")
    parser.add_argument("--settings", required=True, help="JSON of TrainLinearSettings")
    parser.add_argument("--results", required=True, type=Path, help="results/<scenario>")


def run(arguments: argparse.Namespace) -> None:
    """Fit the model of the last stage's mixture and write it with its card."""
    settings = check_section(TrainLinearSettings, arguments.settings)
    recipe, scope = arguments.cell.split("/")
    (task,) = settings.tasks
    stage = name_stage(settings.recipe.stages[-1])
    mixture = arguments.results / "mixtures" / task / f"{stage}.parquet"
    folder = arguments.results / "models" / recipe / scope / f"seed{settings.seed}"
    with record_run(arguments.results / "records", "train", f"{recipe}-{scope}", threads=1):
        model = fit_linear(read_examples(mixture), settings.linear, settings.seed)
        model.save(folder)
        card = {
            "recipe": recipe,
            "scope": scope,
            "seed": settings.seed,
            "tasks": list(settings.tasks),
            "settings": settings.model_dump(mode="json"),
            "mixtures": {mixture.stem: hash_file(mixture)},
            "parameters": int(model.coefficients.size + model.intercepts.size),
            "weights": hash_file(folder / "model.safetensors"),
            "tokenizer": hash_file(folder / "config.json"),
            "max_tokens": 0,
            "versions": list_versions(),
        }
        write_json(folder / "card.json", card)
