"""Predict the test sets of one cell's tasks, for every seed."""

import argparse
from collections.abc import Sequence
from functools import cache, partial
from itertools import chain
from pathlib import Path

import numpy as np

from distilro.artifacts import read_json
from distilro.cards import add_seconds, record_run
from distilro.corpora.examples import Examples, read_examples
from distilro.corpora.perturbations import PERTURBATIONS, perturb
from distilro.devices import add_device_arguments, claim_device
from distilro.errors import DataError, SettingsError
from distilro.evaluation.predictions import Predictions, write_predictions
from distilro.modeling.probabilities import compute_probabilities
from distilro.modeling.scorers import Scorer, load_scorer
from distilro.roles import Role, select_roles
from distilro.settings import Section, TaskDatasets, check_section


class PredictSettings(Section):
    """What predicting depends on: the datasets of each of the cell's tasks."""

    tasks: dict[str, TaskDatasets]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--cell", required=True, help="RECIPE/SCOPE")
    parser.add_argument("--seeds", required=True, type=int, nargs="+", help="the cell's seeds")
    parser.add_argument("--settings", required=True, help="JSON of PredictSettings")
    parser.add_argument("--prepared", required=True, type=Path, help="data/prepared")
    parser.add_argument("--results", required=True, type=Path, help="results/<scenario>")
    add_device_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write one file per seed and task, with every role of the task."""
    settings = check_section(PredictSettings, arguments.settings)
    name = arguments.cell.replace("/", "-")
    records = arguments.results / "records"
    with (
        claim_device(arguments.gpus) as device,
        record_run(records, "predict", name, arguments.threads) as record,
    ):
        record["device"] = device
        test_sets = {
            task: read_test_sets(arguments.prepared, datasets)
            for task, datasets in settings.tasks.items()
        }
        for seed in arguments.seeds:
            folder = Path(arguments.cell, f"seed{seed}")
            model = arguments.results / "models" / folder
            with add_seconds(record, "loading_seconds"):
                scorer = load_scorer(model, device=device, threads=arguments.threads)
            card = read_json(model / "card.json")
            for task, examples_of in test_sets.items():
                for examples in examples_of.values():
                    _check_labels(examples, scorer, model)
                parts = _predict(scorer, card, task, examples_of)
                out = arguments.results / "predictions" / folder / f"{task}.parquet"
                write_predictions(out, parts)


def read_test_sets(prepared: Path, datasets: TaskDatasets) -> dict[Role, Examples]:
    """Return the examples of every role of a task, as they are published.

    Raises:
        DataError: a dataset has no such split.
    """
    roles = select_roles(ood=datasets.ood is not None)
    read = cache(partial(_read_split, prepared))
    return {role: read(getattr(datasets, role.dataset), role.split) for role in roles}


def _read_split(prepared: Path, dataset: str, split: str) -> Examples:
    path = prepared / dataset / f"{split}.parquet"
    if not path.exists():
        got = sorted(other.stem for other in path.parent.glob("*.parquet"))
        raise DataError(
            f"{path} is missing: {dataset} has the splits {got}, expected {split} among them. "
            "Nothing was predicted. Prepare the dataset, or choose one with this split."
        )
    return read_examples(path)


def _check_labels(examples: Examples, scorer: Scorer, model: Path) -> None:
    if examples.task not in scorer.tasks:
        raise SettingsError(
            f"{model}: expected a model of {examples.task}, got one of {scorer.tasks}. "
            "Train it again on the present label space."
        )


def _predict(
    scorer: Scorer, card: dict, task: str, examples_of: dict[Role, Examples]
) -> dict[str, Predictions]:
    """Return the predictions of every role by its name.

    The model is asked once for all of them: an encoder scores texts once that are the same in
    several variants, and batches of more texts have less padding. In the last bits an answer may
    so depend on which roles there are.
    """
    texts = {role: _show_texts(examples, role) for role, examples in examples_of.items()}
    logits = scorer.score(task, list(chain.from_iterable(texts.values())))  # [all roles' N, L]
    ends = np.cumsum([len(shown) for shown in texts.values()])
    return {
        role.name: _describe(card, examples, role, part)
        for (role, examples), part in zip(
            examples_of.items(), np.split(logits, ends[:-1]), strict=True
        )
    }


def _show_texts(examples: Examples, role: Role) -> Sequence[str]:
    """Return the texts of a role as the model sees them."""
    if role.variant not in PERTURBATIONS:
        return examples.text
    return [perturb(text, role.variant) for text in examples.text]


def _describe(card: dict, examples: Examples, role: Role, logits: np.ndarray) -> Predictions:
    """Return what a model answered for a role, from its logits [N, L]."""
    split = examples.split[0]
    suffix = "" if split == "test" else f"-{split}"
    return Predictions(
        task=examples.task,
        recipe=card["recipe"],
        scope=card["scope"],
        seed=card["seed"],
        test_set=examples.dataset[0] + suffix,
        language=examples.lang[0],
        variant=role.variant,
        model_hash=card["weights"],
        id=examples.id,
        probabilities=compute_probabilities(examples.task.kind, logits),
        gold=examples.target,
        observed=examples.observed,
    )
