"""What a cell builds on: teachers, their answers, the model it starts from, a smaller encoder.

A teacher is asked itself, or the models of its folds in its stead; what either learned from comes
along. The main encoder is not listed: every neural cell starts from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distilro.delivery.inputs import Source

Model = tuple[str, str]  # (recipe, scope)


@dataclass(frozen=True)
class Need:
    """The work of one stage, of a cell or, at stage "student", of a smaller encoder."""

    stage: str
    of: Model | str


def find_upstream(
    model: Model, tasks: Mapping[Model, Sequence[str]], recipes: Source
) -> tuple[Need, ...]:
    """Return the work that a cell builds on, and what that builds on, nearest first.

    Args:
        model: the cell.
        tasks: every cell -> its tasks.
        recipes: the section `recipes` of the settings.
    """
    found: dict[Need, None] = {}
    waiting, walked = [model], {model}
    while waiting:
        recipe, scope = waiting.pop(0)
        declared = recipes.open(recipe).values if recipe in recipes.values else {}
        if declared.get("encoder"):
            found[Need("student", declared["encoder"])] = None
        for name, stages in _list_origins(declared):
            for task in tasks.get((recipe, scope), ()):
                above = _choose_cell(name, scope, task, tasks)
                if above is None or above == model:
                    continue
                found.update(dict.fromkeys(Need(stage, above) for stage in stages))
                if above not in walked:
                    walked.add(above)
                    waiting.append(above)
    return tuple(found)


def _list_origins(declared: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each recipe that a recipe builds on, and the stages of it that it cannot do without."""
    folds = declared.get("teacher_logits") == "out_of_fold"
    for teacher in declared.get("teachers", ()):
        yield teacher, ("folds",) if folds else ("train", "logits")
    if declared.get("init_from"):
        yield declared["init_from"], ("train",)


def _choose_cell(
    recipe: str, scope: str, task: str, tasks: Mapping[Model, Sequence[str]]
) -> Model | None:
    """Return the recipe's cell for a task: of the same scope, of the task alone, or any other."""
    cells = [cell for cell, known in tasks.items() if cell[0] == recipe and task in known]
    order = {scope: 0, task: 1}
    return min(cells, key=lambda cell: order.get(cell[1], 2), default=None)
