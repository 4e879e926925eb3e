"""Calibration on the page: how far probabilities can be believed, before and after temperature.

Numbers are means over seeds, of temperatures the geometric one. Curves are joined over seeds bin
by bin, weighted by the rows in the bin. Which recipes are drawn is chosen by the matrix: the linear
baseline and the best other one.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from distilro.delivery.inputs import Source
from distilro.delivery.measures import TestSet
from distilro.delivery.tables import Cell, Table, count_nouns, write_words
from distilro.evaluation.calibration import TEMPERATURES

_NUMBERS = ("temperature", "ece", "ece_scaled", "brier", "brier_scaled")
_NEAR = 1.001  # a temperature within this factor of a bound stands at it
Point = tuple[float, float, int]  # confidence, accuracy, rows


@dataclass(frozen=True)
class Calibration:
    """One recipe on one test set over all seeds; the numbers are in the order of the file's keys.

    `curve` and `curve_scaled` hold a point per bin that has rows, by rising confidence.
    """

    recipe: str
    scope: str
    task: str
    test_set: str
    n: int
    seeds: tuple[int, ...]
    temperature: float
    ece: float
    ece_scaled: float
    brier: float
    brier_scaled: float
    curve: tuple[Point, ...]
    curve_scaled: tuple[Point, ...]
    at_bound: int  # seeds whose temperature stands at a bound of the search


def read_calibrations(source: Source) -> list[Calibration]:
    """Return the rows of `results/<scenario>/calibration.json`, joined over seeds."""
    groups: dict[tuple[str, ...], list[Source]] = {}
    for row in source.list("rows"):
        key = tuple(row.get(name) for name in ("recipe", "scope", "task", "test_set"))
        groups.setdefault(key, []).append(row)
    bins = source.get("bins")
    return [_join_seeds(key, rows, bins) for key, rows in groups.items()]


def build_calibration(rows: Sequence[Calibration]) -> Table:
    """Return a row per recipe and test set: temperature, errors before and after it."""
    head = [
        *write_words("recipe", "task", "temperature"),
        Cell("calibration error", note="ECE, as trained"),
        Cell("calibration error", note="ECE, scaled"),
        Cell("Brier score", note="as trained"),
        Cell("Brier score", note="scaled"),
        Cell("rows"),
    ]
    body = [
        [
            Cell(row.recipe, note="" if row.scope == row.task else row.scope),
            Cell(row.task, note=row.test_set),
            *(_write_number(getattr(row, name)) for name in _NUMBERS),
            Cell(f"n={row.n:,}", note=count_nouns(len(row.seeds), "seed"), kind="number"),
        ]
        for row in rows
    ]
    return Table("Calibration before and after temperature scaling", head, body)


def describe_calibration(rows: Sequence[Calibration]) -> str:
    """Return what the temperature did to the calibration error, over all recipes and tasks."""
    found = [row for row in rows if math.isfinite(row.ece) and math.isfinite(row.ece_scaled)]
    if not found:
        return "No calibration error is defined."
    before, after = (
        math.fsum(getattr(row, name) for row in found) / len(found)
        for name in ("ece", "ece_scaled")
    )
    better = sum(row.ece_scaled < row.ece for row in found)
    return (
        f"One temperature, chosen on validation rows, lowers the calibration error for {better} of "
        f"{len(found)} (recipe and test set); its mean goes from {before:.3f} to {after:.3f}."
        f"{_describe_bounds(rows)}"
    )


def _describe_bounds(rows: Sequence[Calibration]) -> str:
    at_bound = sum(row.at_bound for row in rows)
    if not at_bound:
        return ""
    fitted = count_nouns(sum(len(row.seeds) for row in rows), "temperature")
    low, high = TEMPERATURES
    return (
        f" {at_bound} of {fitted} stand at a bound of the search: at {high:g} hardly anything of "
        f"the probabilities is left, at {low:g} they are all but certain."
    )


def choose_shown(
    rows: Sequence[Calibration], test_sets: Sequence[TestSet], baselines: Collection[str]
) -> dict[tuple[str, str], list[Calibration]]:
    """Return (task, test set) -> what its panel shows: the baselines and the best other recipe.

    Best is the highest defined primary metric on the Romanian test set's official rows.
    """
    shown = {}
    for test_set in test_sets:
        here = [row for row in rows if (row.task, row.test_set) == (test_set.task, test_set.name)]
        lines = [row for row in here if row.recipe in baselines]
        ranked = sorted(
            (m for m in test_set.select("official", test_set.primary) if m.defined),
            key=lambda measure: -measure.value,
        )
        others = {(row.recipe, row.scope): row for row in here if row.recipe not in baselines}
        best = [others[key] for m in ranked if (key := (m.recipe, m.scope)) in others][:1]
        if lines or best:
            shown[test_set.task, test_set.name] = [*lines, *best]
    return shown


def join_curves(curves: Sequence[Sequence[Point]], bins: int) -> tuple[Point, ...]:
    """Join reliability curves over seeds: means weighted by rows, in `bins` equal bins of [0, 1].

    >>> join_curves([[(0.5, 1.0, 1)], [(0.6, 0.5, 3)]], 2)
    ((0.575, 0.625, 4),)
    """
    binned: dict[int, list[Point]] = {}
    for point in (point for curve in curves for point in curve if point[2]):
        binned.setdefault(min(bins - 1, int(point[0] * bins)), []).append(point)
    return tuple(_join_points(binned[index]) for index in sorted(binned))


def _join_points(points: Sequence[Point]) -> Point:
    total = sum(count for *_, count in points)
    confidence = math.fsum(point[0] * point[2] for point in points) / total
    return confidence, math.fsum(point[1] * point[2] for point in points) / total, total


def _join_seeds(key: tuple[str, ...], rows: Sequence[Source], bins: int) -> Calibration:
    recipe, scope, task, test_set = key
    averages = {name: math.fsum(row.number(name) for row in rows) / len(rows) for name in _NUMBERS}
    temperatures = [row.number("temperature") for row in rows]
    averages["temperature"] = math.exp(math.fsum(map(math.log, temperatures)) / len(rows))
    return Calibration(
        recipe,
        scope,
        task,
        test_set,
        n=min(row.get("n") for row in rows),
        seeds=tuple(sorted(row.get("seed") for row in rows)),
        **averages,
        curve=join_curves([_read_curve(row, "curve") for row in rows], bins),
        curve_scaled=join_curves([_read_curve(row, "curve_scaled") for row in rows], bins),
        at_bound=sum(map(_stands_at_bound, temperatures)),
    )


def _stands_at_bound(temperature: float) -> bool:
    low, high = TEMPERATURES
    return temperature <= low * _NEAR or temperature >= high / _NEAR


def _read_curve(row: Source, name: str) -> list[Point]:
    return [
        (point.number("confidence"), point.number("accuracy"), point.get("count"))
        for point in row.list(name)
        if point.get("count")
    ]


def _write_number(value: float) -> Cell:
    return (
        Cell(f"{value:.3f}", kind="number") if math.isfinite(value) else Cell("n/a", "", "missing")
    )
