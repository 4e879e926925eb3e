"""The cost ledger: one row per cell, and the points of the score-against-cost plot."""

import math
from collections.abc import Mapping, Sequence

from distilro.delivery.answer import format_metric
from distilro.delivery.comparisons import name_models
from distilro.delivery.costs import JOULES_PER_KWH, Cost
from distilro.delivery.measures import TestSet
from distilro.delivery.pareto import Pareto, Point
from distilro.delivery.results import name_test_set
from distilro.delivery.standings import LINEAR, MAJORITY
from distilro.delivery.tables import Cell, Table, write_count, write_seconds
from distilro.delivery.upstream import Model

_MISSING = Cell("–", kind="missing")
_THOUSAND = 1000
_PREFIXES = ("", "k", "M", "G", "T", "P", "E")
_HEAD = (
    Cell("recipe"),
    Cell("not above", note="by the mean over seeds"),
    Cell("models"),
    Cell("training", note="all models"),
    Cell("with its teachers", note="and what it starts from"),
    Cell("answers as a teacher", note="and models of its folds"),
    Cell("predictions"),
    Cell("tokens read", note="all models"),
    Cell("parameters", note="of one model"),
    Cell("FLOPs", note="estimated, training"),
)
_SHAPES = {LINEAR: "square", MAJORITY: "diamond"}


def build_ledger(
    costs: Sequence[Cost], unbeaten: Mapping[Model, Sequence[str]], watts: float | None
) -> Table:
    """Return a row per cell: what it cost, and the lines that it does not beat for it.

    Args:
        costs: of every cell.
        unbeaten: (recipe, scope) -> the lines that it is not above.
        watts: of the machine at work, declared in the settings; None: energy is left out.
    """
    energy = [] if watts is None else [Cell("energy", note=f"kWh at {watts:g} W, declared")]
    rows = [
        [
            Cell(cost.recipe, note=cost.scope),
            _write_unbeaten(unbeaten.get((cost.recipe, cost.scope), ())),
            write_count(cost.models),
            _write_seconds(cost.seconds["train"], "last part alone" if cost.partial else ""),
            _write_seconds(cost.seconds_with_upstream),
            *map(_write_seconds, (cost.teaching_seconds, cost.seconds["predict"])),
            *map(_write_amount, (cost.tokens, cost.parameters, cost.flops)),
            *(() if watts is None else [_write_energy(cost, watts)]),
        ]
        for cost in costs
    ]
    return Table("What each cell cost", [*_HEAD, *energy], rows)


def build_paretos(
    costs: Sequence[Cost], test_sets: Sequence[TestSet], kinds: Mapping[str, str]
) -> list[Pareto]:
    """Return a plot per task: training seconds of one model against the primary metric.

    A cell without a defined value, or whose seconds were not recorded whole, has no point; a plot
    without points is left out.
    """
    plots = []
    for test_set in test_sets:
        names = name_models(test_set.list_rows())
        points = [
            Point(
                names[cost.recipe, cost.scope],
                cost.training_seconds,
                measure.value,
                _find_shape(kinds, cost),
            )
            for cost in costs
            if (measure := test_set.find(cost.recipe, cost.scope, "official", test_set.primary))
            and measure.defined
            and cost.training_seconds > 0
        ]
        if points:
            axis = format_metric(test_set.primary)
            plots.append(Pareto(name_test_set(test_set), axis, points))
    return plots


def format_amount(amount: float) -> str:
    """Return a large number with three digits and a prefix of a thousand.

    >>> format_amount(1234567.0), format_amount(950.0), format_amount(2.5e15)
    ('1.23 M', '950', '2.50 P')
    """
    power = 0
    while amount >= _THOUSAND and power < len(_PREFIXES) - 1:
        amount, power = amount / _THOUSAND, power + 1
    return f"{amount:.3g}" if power == 0 else f"{_round_three(amount)} {_PREFIXES[power]}"


def _round_three(amount: float) -> str:
    digits = max(0, 2 - int(math.log10(amount)))
    return f"{amount:.{digits}f}"


def _find_shape(kinds: Mapping[str, str], cost: Cost) -> str:
    return _SHAPES.get(kinds.get(cost.recipe, ""), "circle")


def _write_seconds(seconds: float, note: str = "") -> Cell:
    if not math.isfinite(seconds):
        return _MISSING
    return Cell(write_seconds(seconds), note=note, kind="number")


def _write_amount(amount: float) -> Cell:
    return Cell(format_amount(amount), kind="number") if math.isfinite(amount) else _MISSING


def _write_energy(cost: Cost, watts: float) -> Cell:
    kwh = cost.total_seconds * watts / JOULES_PER_KWH
    return Cell(f"{kwh:.3g}", kind="number") if math.isfinite(kwh) else _MISSING


def _write_unbeaten(lines: Sequence[str]) -> Cell:
    return Cell(", ".join(lines)) if lines else _MISSING
