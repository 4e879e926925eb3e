"""Train the models of a teacher's folds and store what each says about texts it did not learn.

The models themselves are not kept: a card names them by the hashes of their weights. All seeds and
folds of a cell are trained in one process.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from distilro.artifacts import hash_json, write_json
from distilro.commands.train import add_cell_arguments, open_cell
from distilro.corpora.examples import Examples, join_distinct
from distilro.distillation.cell_data import Tokenized
from distilro.distillation.cells import CellTrainer, Trained
from distilro.distillation.folds import (
    assign_folds,
    check_folds,
    describe_fold_set,
    find_seen,
    join_fold_logits,
)
from distilro.distillation.logits import write_logits
from distilro.distillation.teachers import identify_teacher, name_logits
from distilro.errors import SettingsError
from distilro.modeling.weights import hash_weights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_cell_arguments(parser)
    parser.add_argument(
        "--mixtures", nargs="+", required=True, metavar="TASK-MIXTURE", help="asked by students"
    )


def run(arguments: argparse.Namespace) -> None:
    """For every seed: train k models, and write their joined logits and the card of the set."""
    asked: dict[str, list[str]] = {}
    for name in arguments.mixtures:
        task, mixture = name.split("-", 1)
        asked.setdefault(task, []).append(mixture)
    with open_cell(arguments, "folds") as (cell, record):
        check_folds(cell.settings.folds)
        _refuse_start(cell)
        parts = {task: _read_asked(cell, task, names) for task, names in asked.items()}
        record["seeds"] = {seed: _train_folds(cell, seed, parts) for seed in cell.settings.seeds}


def _read_asked(cell: CellTrainer, task: str, mixtures: Sequence[str]) -> Tokenized:
    """Return every row of a task's mixtures once, tokenised."""
    parts = [cell.data.read_mixture(task, name) for name in mixtures]
    examples = join_distinct([part.examples for part in parts])
    return Tokenized(examples, cell.reader.encode(examples.text), "")


def _train_folds(cell: CellTrainer, seed: int, parts: Mapping[str, Tokenized]) -> float:
    """Train and ask the models of a seed's folds; return the seconds of their trainings."""
    cards, answers, seconds = [], {task: [] for task in parts}, 0.0
    for fold in range(cell.settings.folds.count):
        hold_out = {
            (task, stage): _assign(cell, part.examples) == fold
            for (task, stage), part in cell.data.mixtures.items()
        }
        trained = cell.train(seed, hold_out)
        seconds += trained.seconds
        cards.append(_describe(cell, trained, seed))
        for task, part in parts.items():
            answers[task].append(cell.score(trained.classifier, task, part.tokens))
    if cell.machine.workers.rank == 0:
        _write(cell, seed, cards, parts, answers)
    return round(seconds, 3)


def _write(
    cell: CellTrainer,
    seed: int,
    cards: Sequence[Mapping],
    parts: Mapping[str, Tokenized],
    answers: Mapping[str, Sequence[np.ndarray]],
) -> None:
    """Write the card of a seed's fold models and their joined logits."""
    folder = cell.places.find_model(seed, "-folds")
    write_json(folder / "card.json", {**describe_fold_set(cards), **cell.identity})
    for task, part in parts.items():
        _store(cell, folder, part.examples, answers[task])


def _refuse_start(cell: CellTrainer) -> None:
    """Refuse models that begin with weights which have learned the rows of every fold."""
    start = cell.settings.start
    if start is not None:
        raise SettingsError(
            f"recipes.{cell.places.recipe}: a student asks for its out-of-fold logits, but its "
            f"models begin with those of {start.recipe}, which learned every fold. Nothing was "
            "trained; set the student's teacher_logits to in_sample, or name another teacher."
        )


def _assign(cell: CellTrainer, examples: Examples) -> np.ndarray:
    """Return the fold of each row, int64 [N]."""
    folds = cell.settings.folds
    return assign_folds(examples.text_hash, folds.count, folds.salt)


def _describe(cell: CellTrainer, trained: Trained, seed: int) -> dict:
    return {
        **cell.describe(trained, seed),
        "weights": hash_weights(trained.classifier),
        "tokenizer": hash_json(cell.tokenizer.backend_tokenizer.to_str()),
    }


def _store(
    cell: CellTrainer, folder: Path, examples: Examples, answers: Sequence[np.ndarray]
) -> None:
    """Write the joined logits of one task."""
    learned = {text for part in cell.data.mixtures.values() for text in part.examples.text_hash}
    seen = find_seen(examples.text_hash, learned)
    joined = join_fold_logits(_assign(cell, examples), seen, answers)
    teacher = identify_teacher(folder)
    path = name_logits(cell.places.results, teacher, examples.task.name)
    write_logits(path, examples=examples, logits=joined, teacher=teacher)
