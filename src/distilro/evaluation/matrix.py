"""The matrix: the scores of every model on every test set, as one table, as CSV and as Markdown.

The long form keeps every metric of every seed. The Markdown table is the short form: one row per
recipe and scope, one column per test set, its primary metric on the rows as published. A cell is
the mean over seeds, their standard deviation where there are several, and the mean of their
intervals: the spread of one model's test items, not of a difference between two models.
"""

import csv
import io
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import fields

from distilro.errors import DataError
from distilro.evaluation.metrics import choose_primary_metric
from distilro.evaluation.scores import Score, sort_scores

FIRST_RECIPE = "linear"  # the line every model must beat stands first
VALIDATION_SUFFIX = "-valid"  # test sets named so are validation splits: kept, not shown

_COLUMNS = tuple(column.name for column in fields(Score))
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def join_scores(parts: Iterable[Sequence[Score]]) -> list[Score]:
    """Return all scores: the linear baseline first, then recipes in the order they came in.

    Raises:
        DataError: no score at all, or one of them stands twice.
    """
    scores = [score for part in parts for score in part]
    if not scores:
        raise DataError("There is no score to join; expected one or more. Run the stage score.")
    recipes = list(dict.fromkeys(score.recipe for score in scores))
    recipes.sort(key=lambda recipe: recipe != FIRST_RECIPE)  # stable
    place = {recipe: position for position, recipe in enumerate(recipes)}
    return sorted(sort_scores(scores), key=lambda score: place[score.recipe])


def format_csv(matrix: Sequence[Score]) -> str:
    """Return the matrix as CSV with a header and every digit; NaN where undefined."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([_format_field(getattr(score, name)) for name in _COLUMNS] for score in matrix)
    return text.getvalue()


def format_markdown(matrix: Sequence[Score]) -> str:
    """Return the short form: a Markdown table and a line on what its cells are."""
    shown = [score for score in matrix if _is_shown(score)]
    primary = {name: _find_primary(shown, name) for name in _order_test_sets(shown)}
    cells: dict[tuple[str, str], dict[str, list[Score]]] = {}
    for score in shown:
        row = cells.setdefault((score.recipe, _describe_scope(score)), {})
        if score.metric == primary[score.test_set]:
            row.setdefault(score.test_set, []).append(score)
    lines = [
        _join_row(["recipe", "scope", *(_format_header(shown, n, m) for n, m in primary.items())]),
        _join_row(["---", "---", *("---:" for _ in primary)]),
    ]
    for (recipe, scope), row in cells.items():
        values = [_format_cell(row.get(name, [])) for name in primary]
        lines.append(_join_row([recipe, scope, *values]))
    return "\n".join([*lines, "", _describe_seeds(shown), ""])


def _is_shown(score: Score) -> bool:
    return score.variant == "official" and not score.test_set.endswith(VALIDATION_SUFFIX)


def _order_test_sets(scores: Sequence[Score]) -> list[str]:
    """Order test sets: Romanian first, the target of the project; then by task and name."""
    keys = {(score.language != "ro", score.task, score.test_set) for score in scores}
    return [test_set for _, _, test_set in sorted(keys)]


def _find_primary(scores: Sequence[Score], test_set: str) -> str:
    of_set = [score for score in scores if score.test_set == test_set]
    return choose_primary_metric({score.metric for score in of_set if not math.isnan(score.value)})


def _describe_scope(score: Score) -> str:
    """Return "task" for a model of one task, so that a recipe's tasks share a row."""
    return "task" if score.scope == score.task else score.scope


def _format_header(scores: Sequence[Score], test_set: str, metric: str) -> str:
    of_set = [score for score in scores if score.test_set == test_set and score.metric == metric]
    rows = sorted({score.n for score in of_set})
    language = of_set[0].language
    return f"{test_set} ({language}): {metric.replace('_', ' ')}, n = {'/'.join(map(str, rows))}"


def _format_cell(scores: Sequence[Score]) -> str:
    if not scores:
        return ""
    if any(math.isnan(score.value) for score in scores):
        return "n/a (n = 0)"
    values = [score.value for score in scores]
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    low = statistics.fmean(score.low for score in scores)
    high = statistics.fmean(score.high for score in scores)
    return f"{statistics.fmean(values):.3f}{spread} ({low:.3f} to {high:.3f})"


def _describe_seeds(scores: Sequence[Score]) -> str:
    seeds: dict[str, set[int]] = {}
    for score in scores:
        seeds.setdefault(score.recipe, set()).add(score.seed)
    counts = ", ".join(f"{recipe} {len(found)}" for recipe, found in seeds.items())
    return (
        "Mean over seeds ± their standard deviation (bounds of the bootstrap interval over test "
        f"items, mean over seeds). Seeds: {counts}."
    )


def _format_field(value: str | float) -> str:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else repr(value)
    text = str(value)
    # why: a spreadsheet runs a text that begins so as a formula.
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA_SIGNS) else text


def _join_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
