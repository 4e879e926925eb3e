"""What a recipe loses when the writing changes, and on Romanian texts from elsewhere.

Variants hold the official rows written in another way (without diacritics, with typing errors
...); all that the matrix has are shown. The change is the difference of two means over seeds, and
carries no interval of its own.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import groupby

from distilro.delivery.answer import format_metric
from distilro.delivery.comparisons import name_models
from distilro.delivery.measures import Measure, TestSet
from distilro.delivery.results import name_test_set, title_test_set, write_measure
from distilro.delivery.tables import Cell, Table, write_signed

OFFICIAL = "official"
SUBSETS = ("deduplicated",)  # variants that leave rows out, and write none of them differently
_SAYS = {
    "stripped": "without diacritics",
    "cedilla": "ş and ţ with a cedilla",
    "upper_case": "in capitals",
    "typos": "with typing errors",
}


def list_rewritten(test_set: TestSet) -> list[str]:
    """Return the variants whose rows are the official ones, written in another way."""
    return [name for name in test_set.variants if name not in (OFFICIAL, *SUBSETS)]


def build_robustness(test_sets: Sequence[TestSet]) -> list[Table]:
    """Return a table per test set that has rewritten variants: recipes down, variants across."""
    return [_build_table(test_set) for test_set in test_sets if list_rewritten(test_set)]


def describe_robustness(test_sets: Sequence[TestSet]) -> list[str]:
    """Return a sentence per variant: the median change, the lowest and the highest one."""
    changes: dict[str, list[tuple[float, str]]] = {}
    for test_set in test_sets:
        names = name_models(test_set.list_rows())
        for variant in list_rewritten(test_set):
            for row, name in names.items():
                change = _find_change(test_set, row, variant)
                if math.isfinite(change):
                    found = changes.setdefault(variant, [])
                    found.append((change, f"{name} on {test_set.task}"))
    return [_describe_variant(variant, found) for variant, found in changes.items()]


def build_elsewhere(
    own: Sequence[TestSet], others: Sequence[TestSet], titles: Mapping[str, str]
) -> list[Table]:
    """Return a table per task that has Romanian test sets beside its own, which stands first."""
    tables = []
    for task, group in groupby(others, key=lambda test_set: test_set.task):
        columns = [*(home for home in own if home.task == task), *group]
        names = name_models([row for test_set in columns for row in test_set.list_rows()])
        head = [Cell("recipe"), *(_head_column(column, titles) for column in columns)]
        rows = [
            [
                Cell(name),
                *(write_measure(c.find(*row, OFFICIAL, c.primary)) for c in columns),
            ]
            for row, name in names.items()
        ]
        tables.append(Table(f"{task}: Romanian texts from elsewhere", head, rows))
    return tables


def _build_table(test_set: TestSet) -> Table:
    variants = list_rewritten(test_set)
    names = name_models(test_set.list_rows())
    head = [Cell("recipe"), Cell(OFFICIAL, note=format_metric(test_set.primary))]
    head += [Cell(variant.replace("_", " "), note=_SAYS.get(variant, "")) for variant in variants]
    rows = [
        [
            Cell(name),
            _write_official(test_set.find(*row, OFFICIAL, test_set.primary)),
            *(_write_variant(test_set, row, variant) for variant in variants),
        ]
        for row, name in names.items()
    ]
    return Table(f"{name_test_set(test_set)}: official rows, written differently", head, rows)


def _write_official(measure: Measure | None) -> Cell:
    if measure is None or not measure.defined:
        return Cell("–", kind="missing")
    return Cell(f"{measure.value:.3f}", note=f"n={measure.n:,}", kind="number")


def _write_variant(test_set: TestSet, row: tuple[str, str], variant: str) -> Cell:
    measure = test_set.find(*row, variant, test_set.primary)
    if measure is None or not measure.defined:
        return Cell("–", kind="missing")
    change = _find_change(test_set, row, variant)
    note = f"{write_signed(change)} from official" if math.isfinite(change) else ""
    return Cell(f"{measure.value:.3f}", note=note, kind="number")


def _find_change(test_set: TestSet, row: tuple[str, str], variant: str) -> float:
    """Return variant minus official, NaN where either is not defined."""
    pair = [test_set.find(*row, name, test_set.primary) for name in (variant, OFFICIAL)]
    if any(measure is None for measure in pair):
        return math.nan
    return pair[0].value - pair[1].value


def _describe_variant(variant: str, changes: Sequence[tuple[float, str]]) -> str:
    said = _SAYS.get(variant, variant.replace("_", " "))
    if not any(change for change, _ in changes):
        return f"Written {said}, texts change no score."
    middle = statistics.median(change for change, _ in changes)
    worst, best = min(changes), max(changes)
    return (
        f"Written {said}, texts change the score by {write_signed(middle)} in the median "
        f"({write_signed(worst[0])} for {worst[1]}, {write_signed(best[0])} for {best[1]})."
    )


def _head_column(test_set: TestSet, titles: Mapping[str, str]) -> Cell:
    note = f"{title_test_set(test_set, titles)}\n{format_metric(test_set.primary)}"
    return Cell(test_set.name, note=note)
