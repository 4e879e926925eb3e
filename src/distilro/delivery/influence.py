"""The influence matrix as tables: what adding a dataset or a task changed on each test set.

A cell is a difference with its interval. Its sign stands in the text, and a mark where the
interval leaves zero out; the tint only repeats the size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from distilro.delivery.answer import format_metric
from distilro.delivery.inputs import Source
from distilro.delivery.tables import (
    Cell,
    Table,
    count_nouns,
    write_interval,
    write_names,
    write_signed,
)
from distilro.errors import ExportError

_NAMED = 3  # additions that a sentence names on each side
_MISSING = Cell("–", kind="missing")
_CAPTIONS = {"dataset": "Adding a dataset", "task": "Adding a task"}


@dataclass(frozen=True)
class Influence:
    """One cell: the model with the addition minus the one without it."""

    kind: str
    added: str
    task: str
    test_set: str
    metric: str
    with_recipe: str
    without_recipe: str
    also: tuple[str, ...]  # in what else the two models differ
    difference: float
    low: float
    high: float
    minimum_detectable: float
    seeds: int
    items: int

    @property
    def row(self) -> tuple[str, str]:
        """Return what its row of the matrix is known by: what was added, and to what."""
        models = f"{self.with_recipe} minus {self.without_recipe}"
        return self.added, f"{models}\nother {write_names(self.also)}" if self.also else models

    @property
    def mark(self) -> str:
        """Return the direction where the interval leaves zero out, else nothing."""
        return "▲" if self.low > 0 else "▼" if self.high < 0 else ""


def read_influences(source: Source) -> list[Influence]:
    """Return the cells of `results/<scenario>/influence.json`, in the order of the file."""
    return [_read_influence(row) for row in source.list("rows")]


def build_influence(cells: Sequence[Influence]) -> list[Table]:
    """Return a table per kind of addition: additions down, test sets across.

    Raises:
        ExportError: two numbers claim the same place.
    """
    kinds = dict.fromkeys(cell.kind for cell in cells)
    return [_build_table(kind, [cell for cell in cells if cell.kind == kind]) for kind in kinds]


def describe_influence(cells: Sequence[Influence]) -> str:
    """Return how many effects helped and hurt by intervals that leave zero out, and of what."""
    sides = {mark: [cell for cell in cells if cell.mark == mark] for mark in ("▲", "▼")}
    words = [
        f"{len(found)} {word}{_list_cells(found)}"
        for found, word in ((sides["▲"], "raised the score"), (sides["▼"], "lowered it"))
    ]
    rest = len(cells) - sum(map(len, sides.values()))
    return (
        f"Of {count_nouns(len(cells), 'effect')} of an addition, {words[0]}, {words[1]}, "
        f"and for {rest} the interval holds zero."
    )


def _list_cells(cells: Sequence[Influence]) -> str:
    if not cells:
        return ""
    ordered = sorted(cells, key=lambda cell: -abs(cell.difference))[:_NAMED]
    names = [f"{c.added} on {c.test_set} by {write_signed(c.difference)}" for c in ordered]
    return f" ({'most: ' if len(cells) > _NAMED else ''}{write_names(names)})"


def _build_table(kind: str, cells: Sequence[Influence]) -> Table:
    columns = dict.fromkeys((cell.task, cell.test_set, cell.metric) for cell in cells)
    rows = dict.fromkeys(cell.row for cell in cells)
    largest = max((abs(c.difference) for c in cells if math.isfinite(c.difference)), default=0.0)
    places: dict[tuple[object, ...], Cell] = {}
    for cell in cells:
        place = (cell.row, cell.task, cell.test_set, cell.metric)
        if place in places:
            raise ExportError(
                f"influence: {cell.added} on {cell.test_set} stands twice for {cell.with_recipe} "
                f"against {cell.without_recipe}; expected one number. Run its stage again."
            )
        places[place] = _write_influence(cell, largest)
    head = [Cell(f"added {kind}"), *(_head_column(*column) for column in columns)]
    body = [
        [
            Cell(added, note=models),
            *(places.get(((added, models), *column), _MISSING) for column in columns),
        ]
        for added, models in rows
    ]
    return Table(_CAPTIONS.get(kind, f"Adding a {kind}"), head, body)


def _head_column(task: str, test_set: str, metric: str) -> Cell:
    return Cell(test_set, note=f"{task}\n{format_metric(metric)}")


def _write_influence(cell: Influence, largest: float) -> Cell:
    if not math.isfinite(cell.difference):
        return Cell(f"n/a (n={cell.items})", kind="missing")
    detectable = (
        f"\nleast detectable {cell.minimum_detectable:.3f}"
        if math.isfinite(cell.minimum_detectable)
        else ""
    )
    return Cell(
        f"{write_signed(cell.difference)} {cell.mark}".strip(),
        note=f"{write_interval(cell.low, cell.high)}{detectable}\n"
        f"n={cell.items:,}, {count_nouns(cell.seeds, 'seed')}",
        kind="number",
        shade=cell.difference / largest if largest else 0.0,
    )


def _read_influence(row: Source) -> Influence:
    words = ("kind", "added", "task", "test_set", "metric", "seeds", "items")
    numbers = ("difference", "low", "high", "minimum_detectable")
    return Influence(
        **{word: row.get(word) for word in words},
        **{number: row.number(number) for number in numbers},
        with_recipe=row.open("with").get("recipe"),
        without_recipe=row.open("without").get("recipe"),
        also=tuple(row.get("also")),
    )
