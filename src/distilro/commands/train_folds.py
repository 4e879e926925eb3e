"""Train the models of a teacher's folds and store what each says about texts it did not learn.

The models themselves are not kept: a card names them by the hashes of their weights. All seeds and
folds of a cell are trained in one process; one that is stopped leaves checkpoints, and the same
command goes on from them.
"""

import argparse
from collections.abc import Mapping, Sequence

import numpy as np

from distilro.artifacts import hash_json
from distilro.commands.train import add_cell_arguments, open_cell
from distilro.corpora.examples import join_distinct
from distilro.distillation.cell_data import Tokenized
from distilro.distillation.cells import CellTrainer, Trained
from distilro.distillation.fold_sets import group_by_task, store_fold_answers, write_fold_card
from distilro.distillation.folds import check_folds
from distilro.modeling.weights import hash_weights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_cell_arguments(parser)
    parser.add_argument(
        "--mixtures", nargs="+", required=True, metavar="TASK-MIXTURE", help="asked by students"
    )


def run(arguments: argparse.Namespace) -> None:
    """For every seed: train k models, and write their joined logits and the card of the set."""
    asked = group_by_task(arguments.mixtures)
    with open_cell(arguments, "folds") as (cell, record):
        check_folds(cell.settings.folds)
        parts = {task: _read_asked(cell, task, names) for task, names in asked.items()}
        for seed in cell.settings.seeds:
            _train_folds(cell, seed, parts)
        record["resumed"] = cell.checkpoints.resumed
        record["earlier_seconds"] = cell.checkpoints.earlier_seconds
        cell.clear_checkpoints()


def _read_asked(cell: CellTrainer, task: str, mixtures: Sequence[str]) -> Tokenized:
    """Return every row of a task's mixtures once, tokenised."""
    parts = [cell.data.read_mixture(task, name) for name in mixtures]
    examples = join_distinct([part.examples for part in parts])
    return Tokenized(examples, cell.reader.encode(examples.text), "")


def _train_folds(cell: CellTrainer, seed: int, parts: Mapping[str, Tokenized]) -> None:
    """Train and ask the models of a seed's folds, and write what they answered."""
    cards, answers = [], {task: [] for task in parts}
    for fold in range(cell.settings.folds.count):
        trained = cell.train(seed, fold)
        cards.append(_describe(cell, trained, seed))
        for task, part in parts.items():
            # In full precision, as a teacher's own answers are.
            answers[task].append(cell.score(trained.classifier, task, part.tokens, "fp32"))
    if cell.machine.workers.rank == 0:
        _write(cell, seed, cards, parts, answers)


def _write(
    cell: CellTrainer,
    seed: int,
    cards: Sequence[Mapping],
    parts: Mapping[str, Tokenized],
    answers: Mapping[str, Sequence[np.ndarray]],
) -> None:
    """Write the card of a seed's fold models and their joined logits."""
    folder = cell.places.find_model(seed, "-folds")
    write_fold_card(folder, cards, cell.identity)
    learned = {text for part in cell.data.mixtures.values() for text in part.examples.text_hash}
    for task, part in parts.items():
        store_fold_answers(
            cell.places.results,
            folder,
            part.examples,
            answers[task],
            learned=learned,
            folds=cell.settings.folds,
        )


def _describe(cell: CellTrainer, trained: Trained, seed: int) -> dict:
    return {
        **cell.describe(trained, seed),
        "weights": hash_weights(trained.classifier),
        "tokenizer": hash_json(cell.tokenizer.backend_tokenizer.to_str()),
    }
