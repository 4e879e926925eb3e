"""Fit the baselines of a teacher's folds and store what each says about texts it did not learn."""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from distilro.artifacts import hash_file
from distilro.cards import record_run
from distilro.commands import train_linear
from distilro.commands.train_linear import BaselineSettings, describe, fit
from distilro.corpora.examples import join_distinct, read_examples
from distilro.distillation.fold_sets import group_by_task, store_fold_answers, write_fold_card
from distilro.distillation.folds import check_folds
from distilro.settings import check_section


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    train_linear.add_arguments(parser)
    parser.add_argument(
        "--mixtures", nargs="+", required=True, metavar="TASK-MIXTURE", help="asked by students"
    )


def run(arguments: argparse.Namespace) -> None:
    """Fit k models, and write their joined logits and the card of the set."""
    settings = check_section(BaselineSettings, arguments.settings)
    folds = check_folds(settings.folds)
    recipe, scope = arguments.cell.split("/")
    (task,) = settings.tasks
    mixtures = arguments.results / "mixtures" / task
    learned = read_examples(mixtures / f"{settings.stage}.parquet")
    names = group_by_task(arguments.mixtures)[task]
    asked = join_distinct([read_examples(mixtures / f"{name}.parquet") for name in names])
    valid = read_examples(arguments.prepared / settings.validation[task] / "valid.parquet")
    folder = arguments.results / "models" / recipe / scope / f"seed{settings.seed}-folds"
    with record_run(arguments.results / "records", "folds", f"{recipe}-{scope}", threads=1):
        cards, answers = [], []
        assigned = folds.assign(learned.text_hash)
        for fold in range(folds.count):
            model = fit(settings, learned.select(np.flatnonzero(assigned != fold)))
            told = describe(model, settings, (recipe, scope), valid)
            cards.append({**told, **_hash_files(model)})
            answers.append(model.score(task, asked.text))
        read = {f"{task}/{settings.stage}": hash_file(mixtures / f"{settings.stage}.parquet")}
        origin = {"settings": settings.model_dump(mode="json"), "mixtures": read}
        write_fold_card(folder, cards, origin)
        store_fold_answers(
            arguments.results, folder, asked, answers, learned=learned.text_hash, folds=folds
        )


def _hash_files(model: object) -> dict[str, str]:
    """Return the hashes that the model's files would have; the files are not kept."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        weights, config = Path(folder, "model.safetensors"), Path(folder, "config.json")
        return {"weights": hash_file(weights), "tokenizer": hash_file(config)}
