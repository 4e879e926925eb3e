"""Teachers: who a trained model is, and what several of them say together about a mixture.

A teacher is a model folder with its card; its answers come from the logits store alone, so that a
student's training never runs a teacher.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distilro.artifacts import read_json
from distilro.corpora.examples import Examples
from distilro.distillation.logits import TeacherIdentity, read_logits
from distilro.modeling.probabilities import compute_probabilities


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
    )


def name_logits(results: str | Path, teacher: TeacherIdentity, stem: str) -> Path:
    """Return where a teacher's logits on the mixture `<task>-<mixture>` (`stem`) are stored."""
    folder = Path(results, "logits", teacher.recipe, teacher.scope, f"seed{teacher.seed}")
    return folder / f"{stem}.safetensors"


def read_teacher_probabilities(
    results: str | Path, folders: Sequence[Path], *, examples: Examples, stem: str
) -> np.ndarray:
    """Return the mean probabilities of several teachers on a mixture, float32 [N, L].

    Args:
        results: the scenario's folder of results.
        folders: the teachers' model folders, at least one.
        examples: the mixture's rows.
        stem: `<task>-<mixture>`.

    Raises:
        IntegrityError: a store does not fit the teacher's card or the rows.

    One teacher is the study's case; a mean over several is an ensemble of probabilities.
    """
    answers = []
    for folder in folders:
        teacher = identify_teacher(folder)
        path = name_logits(results, teacher, stem)
        logits = read_logits(path, examples=examples, teacher=teacher)
        answers.append(compute_probabilities(examples.task.kind, logits))
    return np.mean(answers, axis=0, dtype=np.float32)
