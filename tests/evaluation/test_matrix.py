"""The matrix: joined without loss, read as CSV, short enough as Markdown."""

import csv
import io
from dataclasses import replace

import pytest

from distilro.errors import DataError
from distilro.evaluation.matrix import format_csv, format_markdown, join_scores
from distilro.evaluation.scores import Score

NAN = float("nan")
BASE = Score(
    recipe="multi",
    scope="all",
    task="emotion",
    seed=0,
    test_set="redv2",
    language="ro",
    variant="official",
    metric="macro_f1",
    value=0.6,
    low=0.55,
    high=0.65,
    n=818,
)
NEWS = replace(BASE, task="topic", test_set="ag_news", language="en", n=7600)
TWO_SEEDS = [BASE, replace(BASE, seed=1, value=0.7, low=0.65, high=0.75)]
LINEAR = [replace(BASE, recipe="linear", scope="emotion", value=0.593)]


def read_rows(markdown: str) -> list[list[str]]:
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_linear_baseline_stands_first_and_then_the_order_given():
    parts = [[replace(BASE, recipe=name)] for name in ("single_ro", "linear", "annealed")]
    assert [score.recipe for score in join_scores(parts)] == ["linear", "single_ro", "annealed"]


def test_the_scores_of_a_recipe_are_sorted():
    assert join_scores([TWO_SEEDS[::-1]]) == TWO_SEEDS


def test_a_score_given_twice_is_an_error():
    with pytest.raises(DataError, match="stands twice"):
        join_scores([TWO_SEEDS, TWO_SEEDS[:1]])


def test_nothing_to_join_is_an_error():
    with pytest.raises(DataError, match="stage score"):
        join_scores([[], []])


def test_the_csv_loses_no_digit():
    exact = replace(BASE, value=0.1 + 0.2)
    (row,) = csv.DictReader(io.StringIO(format_csv([exact])))
    assert float(row["value"]) == exact.value
    assert list(row) == list(vars(BASE))
    assert row["seed"] == "0"


def test_the_csv_says_nan_where_a_value_is_undefined():
    (row,) = csv.DictReader(io.StringIO(format_csv([replace(BASE, value=NAN, n=0)])))
    assert (row["value"], row["n"]) == ("NaN", "0")


def test_the_csv_holds_no_formula():
    (row,) = csv.DictReader(io.StringIO(format_csv([replace(BASE, test_set="=cmd")])))
    assert row["test_set"] == "'=cmd"


def test_a_cell_is_the_mean_over_seeds_with_spread_and_mean_interval():
    rows = read_rows(format_markdown(join_scores([TWO_SEEDS])))
    assert rows[0] == ["recipe", "scope", "redv2 (ro): macro f1, n = 818"]
    assert rows[2] == ["multi", "all", "0.650 ± 0.071 (0.600 to 0.700)"]


def test_one_seed_has_no_spread_and_the_seeds_are_counted():
    text = format_markdown(join_scores([TWO_SEEDS, LINEAR]))
    assert read_rows(text)[2] == ["linear", "task", "0.593 (0.550 to 0.650)"]
    assert "Seeds: linear 1, multi 2." in text


def test_accuracy_stands_in_where_macro_f1_is_undefined():
    news = [replace(NEWS, value=NAN, n=0), replace(NEWS, metric="accuracy", value=0.9)]
    rows = read_rows(format_markdown(join_scores([news])))
    assert rows[0][2] == "ag_news (en): accuracy, n = 7600"
    assert rows[2][2].startswith("0.900")


def test_romanian_test_sets_come_first_and_models_without_one_leave_it_empty():
    rows = read_rows(format_markdown(join_scores([[NEWS, BASE], LINEAR])))
    assert [header.split(" ")[0] for header in rows[0][2:]] == ["redv2", "ag_news"]
    assert rows[2][0] == "linear"
    assert rows[2][3] == ""


def test_models_of_one_task_share_the_row_of_their_recipe():
    scores = [replace(BASE, scope="emotion"), replace(NEWS, scope="topic")]
    rows = read_rows(format_markdown(join_scores([scores])))
    assert len(rows) == 3
    assert rows[2][:2] == ["multi", "task"]


def test_validation_rows_and_other_variants_are_kept_but_not_shown():
    others = [replace(BASE, test_set="redv2-valid"), replace(BASE, variant="stripped")]
    matrix = join_scores([[BASE, *others]])
    assert len(matrix) == 3
    assert "valid" not in format_markdown(matrix)
    assert read_rows(format_markdown(matrix))[0][2:] == ["redv2 (ro): macro f1, n = 818"]
