"""The results part of the page: the matrix as tables and as panels of a dot plot."""

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

from distilro.delivery.answer import format_interval, format_metric
from distilro.delivery.comparisons import name_models
from distilro.delivery.intervals import Mark, Panel
from distilro.delivery.measures import Measure, TestSet
from distilro.delivery.tables import Cell, Table, write_words

# Rows as published, and those without a copy in training; other variants tell of robustness.
MATRIX_VARIANTS = ("official", "deduplicated")
LANGUAGES = {"ro": "Romanian", "en": "English"}
Titles = Mapping[str, str]  # test set -> title of its dataset


def name_test_set(test_set: TestSet) -> str:
    """Return "emotion, Romanian"."""
    return f"{test_set.task}, {LANGUAGES.get(test_set.language, test_set.language)}"


def title_test_set(test_set: TestSet, titles: Titles) -> str:
    """Return the dataset's title, which says what a reader of its numbers must know first."""
    return titles.get(test_set.name, test_set.name)


def list_variants(test_set: TestSet) -> list[str]:
    """Return the variants of a test set that the matrix shows, in order."""
    return [variant for variant in MATRIX_VARIANTS if variant in test_set.variants]


def build_panels(
    test_sets: Sequence[TestSet], titles: Titles, baselines: Collection[str]
) -> list[Panel]:
    """Return a panel per test set, Romanian ones first: a mark per recipe and variant."""
    ordered = sorted(test_sets, key=lambda test_set: test_set.language != "ro")  # stable
    return [_build_panel(test_set, titles, baselines) for test_set in ordered]


def build_matrix(test_sets: Sequence[TestSet], titles: Titles) -> list[Table]:
    """Return a table per task: recipes down, test sets and variants across."""
    tables = []
    for task, group in groupby(test_sets, key=lambda test_set: test_set.task):
        columns = [(s, variant) for s in group for variant in list_variants(s)]
        rows = dict.fromkeys(row for test_set, _ in columns for row in test_set.list_rows())
        names = name_models(rows)
        tables.append(
            Table(
                caption=task,
                head=[Cell("recipe"), *(_head_column(s, v, titles) for s, v in columns)],
                rows=[
                    [Cell(names[row]), *(_write_main(s, row, variant) for s, variant in columns)]
                    for row in rows
                ],
            )
        )
    return tables


def build_metrics(test_sets: Sequence[TestSet], titles: Titles) -> list[Table]:
    """Return a table per test set and variant: every metric down, recipes across."""
    tables = []
    for test_set in test_sets:
        names = name_models(test_set.list_rows())
        for variant in test_set.variants:
            rows = [
                [
                    Cell(format_metric(metric)),
                    *(write_measure(test_set.find(*row, variant, metric)) for row in names),
                ]
                for metric in test_set.list_metrics()
            ]
            caption = f"{name_test_set(test_set)}, {variant}: {title_test_set(test_set, titles)}"
            tables.append(Table(caption, write_words("metric", *names.values()), rows))
    return tables


def write_measure(measure: Measure | None, *, best: bool = False) -> Cell:
    """Return a measure's cell: mean ± deviation, and its interval, count and seeds as the note."""
    if measure is None:
        return Cell("not measured", kind="missing")
    if not measure.defined:
        return Cell(format_interval(measure), kind="missing")
    seeds = f"{len(measure.seeds)} seed" + ("s" if len(measure.seeds) > 1 else "")
    spread = "" if measure.deviation is None else f" ± {measure.deviation:.3f}"
    return Cell(
        f"{measure.value:.3f}{spread}",
        note=f"[{measure.low:.3f}, {measure.high:.3f}]\nn={measure.n:,}, {seeds}",
        kind="best" if best else "number",
    )


def _build_panel(test_set: TestSet, titles: Titles, baselines: Collection[str]) -> Panel:
    names = name_models(test_set.list_rows())
    marks = [
        Mark(names[row], variant, measure.value, measure.low, measure.high, measure.values)
        for row in names
        for variant in list_variants(test_set)
        if (measure := test_set.find(*row, variant, test_set.primary)) is not None
    ]
    reference = next((names[row] for row in names if row[0] in baselines), None)
    return Panel(
        title=name_test_set(test_set),
        subtitle=title_test_set(test_set, titles),
        axis=format_metric(test_set.primary),
        marks=marks,
        series=list_variants(test_set),
        reference=reference,
    )


def _write_main(test_set: TestSet, row: tuple[str, str], variant: str) -> Cell:
    measure = test_set.find(*row, variant, test_set.primary)
    defined = [m.value for m in test_set.select(variant, test_set.primary) if m.defined]
    best = measure is not None and measure.defined and measure.value == max(defined)
    return write_measure(measure, best=best)


def _head_column(test_set: TestSet, variant: str, titles: Titles) -> Cell:
    language = LANGUAGES.get(test_set.language, test_set.language)
    note = f"{title_test_set(test_set, titles)}\n{format_metric(test_set.primary)}"
    return Cell(f"{language}, {variant}", note=note)
