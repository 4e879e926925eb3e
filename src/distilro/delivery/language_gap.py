"""Gaps between languages as tables: recipes with an adversary beside their references.

A gap is described over seeds and not tested; how it is measured is said in
`distilro.modeling.language_gap`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean

from distilro.delivery.comparisons import name_models
from distilro.delivery.inputs import Source
from distilro.delivery.tables import (
    Cell,
    Table,
    count_nouns,
    write_decimals,
    write_signed,
    write_words,
)


@dataclass(frozen=True)
class Gap:
    """What each critic found in the features of a recipe's model and of its reference's."""

    task: str
    recipe: str
    scope: str
    reference: str
    english_texts: int
    romanian_texts: int
    gaps: tuple[float, ...]
    reference_gaps: tuple[float, ...]

    @property
    def difference(self) -> float:
        """Return the mean gap minus that of the reference."""
        return fmean(self.gaps) - fmean(self.reference_gaps)


def read_gaps(source: Source) -> list[Gap]:
    """Return the rows of `results/<scenario>/gaps.json`, one per seed, in the order of the file."""
    return [_read_gap(row) for row in source.list("rows")]


def build_gaps(gaps: Sequence[Gap]) -> list[Table]:
    """Return a table per task: recipes down; means over seeds and critics with ranges across."""
    note = "lowest to highest"
    head = [*write_words("recipe", "reference"), Cell("gap", note=note)]
    head += [Cell("gap of the reference", note=note), Cell("difference")]
    tables: dict[str, Table] = {}
    for (task, recipe, reference), group in _group(gaps).items():
        counts = f"{group[0].english_texts:,} English and {group[0].romanian_texts:,} Romanian"
        caption = f"{task}: gap between {counts} validation texts"
        table = tables.setdefault(task, Table(caption, head, []))
        table.rows.append([*write_words(recipe, reference), *_write_row(group)])
    return list(tables.values())


def describe_gaps(gaps: Sequence[Gap]) -> str:
    """Return, recipe by recipe, both mean gaps, and in how many seeds the languages lie nearer."""
    if not gaps:
        return "No recipe of this run has an adversary, and a neural reference that has none."
    return " ".join(
        f"On {task}, the gap is {write_decimals(fmean(_list_gaps(group)))} after {recipe} and "
        f"{write_decimals(fmean(_list_reference_gaps(group)))} after {reference}, "
        f"{_count_nearer(group)}."
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


def _list_gaps(group: Sequence[Gap]) -> list[float]:
    return list(chain.from_iterable(row.gaps for row in group))


def _list_reference_gaps(group: Sequence[Gap]) -> list[float]:
    return list(chain.from_iterable(row.reference_gaps for row in group))


def _count_nearer(group: Sequence[Gap]) -> str:
    nearer = sum(row.difference < 0 for row in group)
    return f"smaller in {nearer} of {count_nouns(len(group), 'seed')}"


def _write_row(group: Sequence[Gap]) -> list[Cell]:
    difference = write_signed(fmean(row.difference for row in group))
    return [
        _write_gaps(_list_gaps(group)),
        _write_gaps(_list_reference_gaps(group)),
        Cell(difference, note=_count_nearer(group), kind="number"),
    ]


def _write_gaps(values: Sequence[float]) -> Cell:
    note = f"{write_decimals(min(values))} to {write_decimals(max(values))}"
    return Cell(write_decimals(fmean(values)), note=note, kind="number")


def _read_gap(row: Source) -> Gap:
    return Gap(
        **{word: row.get(word) for word in ("task", "recipe", "scope", "reference")},
        english_texts=row.open("texts").get("en"),
        romanian_texts=row.open("texts").get("ro"),
        gaps=tuple(row.get("gaps")),
        reference_gaps=tuple(row.get("reference_gaps")),
    )
