"""Teachers: who a trained model is, and what several of them say together about a mixture.

A teacher is a model folder with its card, or a card alone for a set of fold models; its answers
come from the logits store alone, so that a student's training never runs a teacher.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distilro.artifacts import read_json
from distilro.corpora.examples import Examples
from distilro.distillation.ensembles import combine_answers
from distilro.distillation.logits import TeacherIdentity, read_logits
from distilro.errors import IntegrityError


def identify_teacher(folder: str | Path) -> TeacherIdentity:
    """Return the identity of the model in `folder`, as its card states it."""
    card = read_json(Path(folder) / "card.json")
    return TeacherIdentity(
        recipe=card["recipe"],
        scope=card["scope"],
        seed=card["seed"],
        weights=card["weights"],
        tokenizer=card["tokenizer"],
        max_tokens=card["max_tokens"],
        folds=card.get("folds"),
    )


def name_logits(results: str | Path, teacher: TeacherIdentity, stem: str) -> Path:
    """Return where a teacher's logits on the mixture `<task>-<mixture>` (`stem`) are stored.

    `logits/<recipe>/<scope>/seed<k>/` holds in-sample logits, `seed<k>-folds/` out-of-fold ones.
    """
    seed = f"seed{teacher.seed}" + ("" if teacher.folds is None else "-folds")
    return Path(results, "logits", teacher.recipe, teacher.scope, seed, f"{stem}.safetensors")


def read_teacher_probabilities(
    results: str | Path,
    folders: Sequence[Path],
    *,
    examples: Examples,
    stem: str,
    how: str = "mean_probability",
    temperature: float = 1.0,
) -> np.ndarray:
    """Return the probabilities of several teachers as one on a mixture, float32 [N, L].

    Args:
        results: the scenario's folder of results.
        folders: the folders of the teachers' cards, at least one.
        examples: the mixture's rows.
        stem: `<task>-<mixture>`.
        how: the way to combine them, and
        temperature: T of the probabilities; both as in `combine_answers`.

    Raises:
        IntegrityError: a store does not fit the teacher's card or the rows, or a card lacks the
            validation score that "validation" weighs by.
        SettingsError: there is no such ensemble, or every teacher's validation score is 0.
    """
    answers = []
    for folder in folders:
        teacher = identify_teacher(folder)
        path = name_logits(results, teacher, stem)
        answers.append(read_logits(path, examples=examples, teacher=teacher))
    task = examples.task
    weights = None
    if how == "validation":
        weights = [_read_validation_score(folder, task.name) for folder in folders]
    return combine_answers(task.kind, answers, how=how, temperature=temperature, weights=weights)


def _read_validation_score(folder: str | Path, task: str) -> float:
    path = Path(folder) / "card.json"
    scores = read_json(path).get("valid") or {}
    if task not in scores:
        raise IntegrityError(
            f"{path}: expected the validation score of task {task} under valid, got "
            f"{sorted(scores)}. Nothing was combined; train the teacher again, or choose another "
            "ensemble than validation."
        )
    return scores[task]
