"""The comparisons as tables: one per question, the whole family, and McNemar's tests by seed.

A sign and a word carry every verdict, so that nothing is lost in print or to an eye that does not
tell the colours apart.
"""

import math
from collections.abc import Sequence

from distilro.delivery.answer import format_metric
from distilro.delivery.comparisons import (
    Comparison,
    Family,
    group_test_sets,
    name_models,
)
from distilro.delivery.tables import (
    Cell,
    Table,
    count_nouns,
    write_count,
    write_interval,
    write_signed,
    write_words,
)
from distilro.evaluation.verdicts import HIGHER, LOWER

_SIGNS = {HIGHER: "▲", LOWER: "▼"}
_MISSING = Cell("–", kind="missing")
_LEAST_P = 0.001  # smaller ones are written as less than it: the resamples tell no more


def build_differences(caption: str, rows: Sequence[Comparison]) -> Table:
    """Return recipes down, test sets across: the difference from the reference and its interval."""
    columns = group_test_sets(rows)
    names = name_models([_find_model(row) for row in rows])
    found = {(*_find_model(row), row.reference, row.task, row.test_set): row for row in rows}
    lines = list(dict.fromkeys((*_find_model(row), row.reference) for row in rows))
    head = [Cell("recipe", note="minus its reference")]
    head += [
        Cell(task, note=f"{test_set}\n{format_metric(group[0].metric)}, n={group[0].items:,}")
        for (task, test_set), group in columns.items()
    ]
    body = [
        [
            Cell(names[recipe, scope], note=f"minus {reference}"),
            *(_write_difference(found.get((recipe, scope, reference, *key))) for key in columns),
        ]
        for recipe, scope, reference in lines
    ]
    return Table(caption, head, body)


def build_family(family: Family) -> Table:
    """Return one row per comparison: verdict, difference, corrected p, and what they rest on."""
    head = [
        Cell("recipe", note="minus its reference"),
        Cell("task"),
        Cell("verdict"),
        Cell("difference", note=f"{family.confidence:.0%} interval"),
        Cell("values", note="recipe − reference"),
        Cell("p", note=f"corrected ({family.correction})"),
        Cell("minimum detectable", note="difference"),
        Cell("rows and seeds"),
    ]
    rows = [_write_comparison(row, family.seeds_needed) for row in family.rows]
    return Table(f"The family: {count_nouns(len(rows), 'comparison')}", head, rows)


def build_seed_tests(family: Family) -> Table:
    """Return McNemar's test of every pair of seeds: rows that only one of the two gets right."""
    head = write_words("recipe", "reference", "task", "seeds", "only recipe", "only reference", "p")
    rows = [
        [
            *write_words(row.recipe, row.reference, row.task),
            Cell(f"{test.seed} and {test.reference_seed}"),
            write_count(test.only_recipe),
            write_count(test.only_reference),
            Cell(format_p(test.p), kind="number"),
        ]
        for row in family.rows
        for test in row.seed_tests
    ]
    return Table("McNemar's test, seed by seed: rows that only one side has right", head, rows)


def format_p(p: float) -> str:
    """Return a p-value for readers.

    >>> format_p(0.0314), format_p(0.0), format_p(float("nan"))
    ('0.031', '<0.001', 'n/a')
    """
    if not math.isfinite(p):
        return "n/a"
    return f"<{_LEAST_P}" if p < _LEAST_P else f"{p:.3f}"


def format_verdict(row: Comparison, seeds_needed: int) -> tuple[str, str]:
    """Return the verdict with its sign, and what it still needs to be a claim."""
    sign = _SIGNS.get(row.verdict, "")
    need = "" if row.claim else f"an indication: a claim needs {seeds_needed} seeds"
    return f"{sign} {row.verdict}".strip(), need


def _write_difference(row: Comparison | None) -> Cell:
    if row is None:
        return Cell("not compared", kind="missing")
    if not math.isfinite(row.difference):
        return Cell(f"n/a (n={row.items})", kind="missing")
    sign = _SIGNS.get(row.verdict, "")
    note = f"{write_interval(row.low, row.high)}\n{row.value:.3f} − {row.reference_value:.3f}"
    return Cell(f"{write_signed(row.difference)} {sign}".strip(), note=note, kind="number")


def _write_comparison(row: Comparison, seeds_needed: int) -> Sequence[Cell]:
    verdict, need = format_verdict(row, seeds_needed)
    seeds = f"{len(row.seeds)} against {count_nouns(len(row.reference_seeds), 'seed')}"
    own = row.scope if row.scope != row.task else ""
    defined = math.isfinite(row.difference)
    return [
        Cell(f"{row.recipe} ({own})" if own else row.recipe, note=f"minus {row.reference}"),
        Cell(row.task, note=f"{row.test_set}\n{format_metric(row.metric)}"),
        Cell(verdict, note=need),
        Cell(write_signed(row.difference), note=write_interval(row.low, row.high), kind="number")
        if defined
        else _MISSING,
        Cell(f"{row.value:.3f} − {row.reference_value:.3f}", kind="number")
        if defined
        else _MISSING,
        Cell(format_p(row.p_holm), note=f"alone {format_p(row.p)}", kind="number"),
        _write_value(row.minimum_detectable),
        Cell(f"n={row.items:,}", note=seeds, kind="number"),
    ]


def _write_value(value: float) -> Cell:
    return Cell(f"{value:.3f}", kind="number") if math.isfinite(value) else _MISSING


def _find_model(row: Comparison) -> tuple[str, str]:
    """Return recipe and scope; a model of the one task is the same row in every task's column."""
    return row.recipe, "" if row.scope == row.task else row.scope
