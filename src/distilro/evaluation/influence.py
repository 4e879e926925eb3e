"""Influence: what one more dataset, or one more task, does to a recipe.

Of the plain recipes, which differ in what they learn from, two are a pair if one learned from
exactly what the other did and one thing more: a dataset of the same tasks, or a whole task. The
pair tells the effect of adding that thing and, read the other way, of leaving it out. Every task
that both learned is tested, on each of its test sets, so that a dataset's effect on other tasks,
on English and on another domain is seen too.

Where that thing cannot be had alone (one task and several have schedules of their own; Romanian
rows choose the best epoch only of a model that learns Romanian), the row says what else differs.
These rows describe and decide nothing: they are no part of the family that is tested.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise, permutations
from typing import Any

from distilro.errors import SettingsError
from distilro.evaluation.comparisons import Pair, find_sides, measure_effect
from distilro.evaluation.runs import Runs, RunsKey


@dataclass(frozen=True)
class PlainCell:
    """A recipe and scope, the training datasets of every task, and the conditions it learned in.

    A condition that means nothing to a cell, as sampling to a cell of one task, is left out.
    """

    recipe: str
    scope: str
    datasets: Mapping[str, frozenset[str]]  # task -> one dataset or more
    conditions: Mapping[str, str] = field(default_factory=dict)  # name -> value


@dataclass(frozen=True, order=True)
class Addition:
    """One thing more: the pair's recipe learned from it, the pair's reference did not."""

    kind: str  # "dataset" or "task"
    added: str
    pair: Pair
    also: tuple[str, ...] = ()  # the conditions in which the two differ, too


def find_additions(cells: Sequence[PlainCell]) -> list[Addition]:
    """Return every pair of cells that one dataset or one task sets apart, per task they share.

    Sorted by kind, name and pair, whatever the order of the cells.

    Raises:
        SettingsError: a recipe and scope stand twice.

    >>> one = PlainCell("ro", "emotion", {"emotion": frozenset({"redv2"})})
    >>> two = PlainCell("mixed", "emotion", {"emotion": frozenset({"redv2", "carer"})})
    >>> [(found.kind, found.added, found.pair.recipe) for found in find_additions([one, two])]
    [('dataset', 'carer', 'mixed')]
    """
    named = sorted((cell.recipe, cell.scope) for cell in cells)
    for before, after in pairwise(named):
        if before == after:
            raise SettingsError(
                f"{'/'.join(after)} stands twice among the plain cells; name it once."
            )
    additions = []
    for richer, poorer in permutations(cells, 2):
        added = _name_addition(richer, poorer)
        if added is not None:
            additions += [
                Addition(
                    *added,
                    Pair(task, richer.recipe, richer.scope, poorer.recipe, poorer.scope),
                    _list_differing(richer, poorer),
                )
                for task in poorer.datasets
            ]
    return sorted(additions)


def measure_influence(
    additions: Iterable[Addition], runs: Mapping[RunsKey, Runs], confidence: float
) -> list[dict[str, Any]]:
    """Return the effect of every addition with its interval, one row each, ready for JSON.

    Args:
        additions: see `find_additions`.
        runs: on one test set of each of the additions' tasks.
        confidence: of the intervals.

    Raises:
        DataError: a cell of a pair has no predictions on a task that it learned.
    """
    return [_measure_addition(addition, runs, confidence) for addition in additions]


def _name_addition(richer: PlainCell, poorer: PlainCell) -> tuple[str, str] | None:
    """Return the kind and name of the one thing that the richer cell has more, if it is one."""
    have, lack = _list_sources(richer), _list_sources(poorer)
    if not lack < have:
        return None
    new_tasks = sorted(set(richer.datasets) - set(poorer.datasets))
    new_sources = sorted(have - lack)
    if not new_tasks and len(new_sources) == 1:
        return "dataset", new_sources[0][1]
    if len(new_tasks) == 1 and all(task == new_tasks[0] for task, _ in new_sources):
        return "task", new_tasks[0]
    return None


def _list_differing(richer: PlainCell, poorer: PlainCell) -> tuple[str, ...]:
    shared = sorted(richer.conditions.keys() & poorer.conditions.keys())
    return tuple(name for name in shared if richer.conditions[name] != poorer.conditions[name])


def _list_sources(cell: PlainCell) -> set[tuple[str, str]]:
    return {(task, dataset) for task, datasets in cell.datasets.items() for dataset in datasets}


def _measure_addition(
    addition: Addition, runs: Mapping[RunsKey, Runs], confidence: float
) -> dict[str, Any]:
    pair = addition.pair
    richer, poorer = find_sides(pair, runs)
    effect = asdict(measure_effect(richer, poorer, confidence))
    del effect["p"]  # no hypothesis of the family: nothing is decided by it
    return effect | {
        "kind": addition.kind,
        "added": addition.added,
        "task": pair.task,
        "test_set": richer.test_set,
        "metric": richer.metric,
        "with": {"recipe": pair.recipe, "scope": pair.scope},
        "without": {"recipe": pair.reference, "scope": pair.reference_scope},
        "also": list(addition.also),
        "seeds": min(len(richer.seeds), len(poorer.seeds)),
        "items": richer.correct.shape[1],
    }
