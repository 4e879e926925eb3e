"""Gaps between languages as tables: recipes with an adversary beside their references.

A gap is described over seeds and not tested; how it is measured is said in
`distilro.training.language_gap`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from distilro.delivery.comparisons import name_models
from distilro.delivery.inputs import Source
from distilro.delivery.tables import Cell, Table, count_nouns, write_signed, write_words


@dataclass(frozen=True)
class Gap:
    """The gaps in the features of a recipe's model and of its reference's, of one seed."""

    task: str
    recipe: str
    scope: str
    reference: str
    gap: float
    reference_gap: float


def read_gaps(source: Source) -> list[Gap]:
    """Return the rows of `results/<scenario>/gaps.json`, in the order of the file."""
    return [_read_gap(row) for row in source.list("rows")]


def build_gaps(gaps: Sequence[Gap]) -> list[Table]:
    """Return a table per task: recipes down, means over seeds with their range across."""
    seeds = "lowest to highest seed"
    head = [*write_words("recipe", "reference"), Cell("gap", note=seeds)]
    head += [Cell("gap of the reference", note=seeds), Cell("difference")]
    tables: dict[str, Table] = {}
    for (task, recipe, reference), group in _group(gaps).items():
        caption = f"{task}: how far apart English and Romanian lie"
        table = tables.setdefault(task, Table(caption, head, []))
        table.rows.append([*write_words(recipe, reference), *_write_row(group)])
    return list(tables.values())


def describe_gaps(gaps: Sequence[Gap]) -> str:
    """Return, recipe by recipe, both mean gaps, and in how many seeds the languages lie nearer."""
    if not gaps:
        return "No recipe of this run learns against a critic and is set beside a neural reference."
    return " ".join(
        f"On {task}, the gap is {_average(group, 'gap'):.3f} after {recipe} and "
        f"{_average(group, 'reference_gap'):.3f} after {reference}, {_count_nearer(group)}."
        for (task, recipe, reference), group in _group(gaps).items()
    )


def _group(gaps: Sequence[Gap]) -> dict[tuple[str, str, str], list[Gap]]:
    """Return (task, name of the recipe, reference) -> the rows of all seeds."""
    groups: dict[tuple[str, str, str], list[Gap]] = {}
    for task in dict.fromkeys(gap.task for gap in gaps):
        rows = [gap for gap in gaps if gap.task == task]
        names = name_models([(row.recipe, row.scope) for row in rows])
        for row in rows:
            name = names[row.recipe, row.scope]
            groups.setdefault((task, name, row.reference), []).append(row)
    return groups


def _average(group: Sequence[Gap], which: str) -> float:
    return fmean(getattr(row, which) for row in group)


def _count_nearer(group: Sequence[Gap]) -> str:
    nearer = sum(row.gap < row.reference_gap for row in group)
    return f"smaller in {nearer} of {count_nouns(len(group), 'seed')}"


def _write_row(group: Sequence[Gap]) -> list[Cell]:
    difference = _average(group, "gap") - _average(group, "reference_gap")
    return [
        _write_gaps([row.gap for row in group]),
        _write_gaps([row.reference_gap for row in group]),
        Cell(write_signed(difference), note=_count_nearer(group), kind="number"),
    ]


def _write_gaps(values: Sequence[float]) -> Cell:
    note = f"{min(values):.3f} to {max(values):.3f}"
    return Cell(f"{fmean(values):.3f}", note=note, kind="number")


def _read_gap(row: Source) -> Gap:
    words = ("task", "recipe", "scope", "reference")
    numbers = ("gap", "reference_gap")
    return Gap(
        **{word: row.get(word) for word in words},
        **{number: row.number(number) for number in numbers},
    )
