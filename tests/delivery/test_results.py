import math

from distilro.delivery.measures import group_test_sets, join_seeds
from distilro.delivery.results import build_matrix, build_metrics, build_panels, write_measure
from tests.delivery.test_measures import make_score

TITLES = {"redv2": "REDv2"}


def build_sets(*scores):
    return group_test_sets(join_seeds(scores))


def test_the_best_of_a_column_is_marked_and_ties_are_marked_together():
    sets = build_sets(
        make_score(recipe="linear", value=0.5),
        make_score(recipe="multi", scope="all", value=0.6),
        make_score(recipe="annealed", scope="all", value=0.6),
    )
    (table,) = build_matrix(sets, TITLES)
    assert [row[1].kind for row in table.rows] == ["number", "best", "best"]
    assert [cell.text for cell in table.head] == ["recipe", "Romanian, official"]


def test_a_recipe_that_was_not_measured_there_says_so():
    sets = build_sets(make_score(), make_score(recipe="multi", test_set="carer", language="en"))
    (table,) = build_matrix(sets, TITLES)
    assert table.rows[1][1].text == "not measured"


def test_a_value_that_is_not_defined_is_no_zero():
    (table,) = build_matrix(build_sets(make_score(value=math.nan, n=0)), TITLES)
    assert (table.rows[0][1].text, table.rows[0][1].kind) == ("n/a (n=0)", "missing")


def test_a_cell_has_interval_count_and_seeds():
    (measure,) = join_seeds([make_score(0, 0.48, n=1818), make_score(1, 0.52, n=1818)])
    cell = write_measure(measure)
    assert (cell.text, cell.note) == ("0.500 ± 0.028", "[0.400, 0.700]\nn=1,818, 2 seeds")


def test_a_recipe_with_several_scopes_names_them():
    sets = build_sets(
        make_score(recipe="multi", scope="all"), make_score(recipe="multi", scope="two")
    )
    (table,) = build_matrix(sets, TITLES)
    assert [row[0].text for row in table.rows] == ["multi (all)", "multi (two)"]


def test_all_metrics_have_a_table_per_test_set_and_variant():
    sets = build_sets(make_score(), make_score(variant="stripped"), make_score(metric="accuracy"))
    tables = build_metrics(sets, TITLES)
    assert [table.caption for table in tables] == [
        "emotion, Romanian, official: REDv2",
        "emotion, Romanian, stripped: REDv2",
    ]
    assert [row[0].text for row in tables[0].rows] == ["macro F1", "accuracy"]


def test_romanian_panels_come_first_and_compare_with_the_baseline():
    sets = build_sets(
        make_score(task="a", test_set="a_en", language="en"),
        make_score(task="b", test_set="b_ro"),
    )
    panels = build_panels(sets, {}, {"linear"})
    assert [panel.title for panel in panels] == ["b, Romanian", "a, English"]
    assert panels[0].reference == "linear"
