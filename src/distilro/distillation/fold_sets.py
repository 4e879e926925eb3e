"""The models of a teacher's folds as one teacher: their card, and their joined answers, stored.

Whatever kind the models are, they are trained elsewhere; `folds` says which text is whose.

Axes: N rows that students ask about, L labels.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distilro.artifacts import write_json
from distilro.corpora.examples import Examples
from distilro.distillation.folds import (
    FoldSettings,
    describe_fold_set,
    find_seen,
    join_fold_logits,
)
from distilro.distillation.logits import write_logits
from distilro.distillation.teachers import identify_teacher, name_logits


def group_by_task(names: Iterable[str]) -> dict[str, list[str]]:
    """Return task -> mixtures of names "<task>-<mixture>", in their order.

    >>> group_by_task(["topic-ro1", "topic-ro1-en1"])
    {'topic': ['ro1', 'ro1-en1']}
    """
    grouped: dict[str, list[str]] = {}
    for name in names:
        task, mixture = name.split("-", 1)
        grouped.setdefault(task, []).append(mixture)
    return grouped


def write_fold_card(
    folder: str | Path, cards: Sequence[Mapping[str, Any]], origin: Mapping[str, Any]
) -> None:
    """Write the card of a set: what its models' cards say together, and what they came from."""
    write_json(Path(folder) / "card.json", {**describe_fold_set(cards), **origin})


def store_fold_answers(
    results: str | Path,
    folder: str | Path,
    examples: Examples,
    answers: Sequence[np.ndarray],
    *,
    learned: Iterable[str],
    folds: FoldSettings,
) -> None:
    """Join what the models of a set said about one task's rows, and store it.

    Args:
        results: the scenario's folder of results.
        folder: where the card of the set lies.
        examples: the N rows.
        answers: logits [N, L] of each fold's model, in the order of folds.
        learned: text hashes of all that the models learned, of every task and stage.
        folds: how texts were cut into folds.
    """
    seen = find_seen(examples.text_hash, learned)
    joined = join_fold_logits(folds.assign(examples.text_hash), seen, answers)
    teacher = identify_teacher(folder)
    path = name_logits(results, teacher, examples.task.name)
    write_logits(path, examples=examples, logits=joined, teacher=teacher)
