import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.delivery.calibration import (
    build_calibration,
    choose_shown,
    describe_calibration,
    join_curves,
    read_calibrations,
)
from distilro.delivery.inputs import Source
from distilro.delivery.measures import group_test_sets, join_seeds
from distilro.delivery.reliability import WIDTH, Reliability, draw_reliability
from distilro.delivery.svg import render
from tests.delivery.evidence import make_calibration
from tests.delivery.test_measures import make_score


def read(*rows):
    return read_calibrations(Source("calibration.json", {"bins": 10, "rows": list(rows)}))


def test_numbers_are_means_over_the_seeds_of_a_recipe():
    (found,) = read(make_calibration(), make_calibration(seed=1, ece=0.4))
    (row,) = build_calibration([found]).rows
    assert [cell.text for cell in row[2:5]] == ["1.500", "0.300", "0.050"]
    assert row[-1].note == "2 seeds"


points = st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 50))


@given(st.lists(st.lists(points, max_size=8), max_size=4), st.integers(1, 20))
def test_joined_curves_keep_every_row_and_the_mean_accuracy(curves, bins):
    joined = join_curves(curves, bins)
    given_points = [point for curve in curves for point in curve]
    assert sum(count for *_, count in joined) == sum(count for *_, count in given_points)
    right = sum(accuracy * count for _, accuracy, count in given_points)
    assert sum(accuracy * count for _, accuracy, count in joined) == pytest.approx(right)
    assert [point[0] for point in joined] == sorted(point[0] for point in joined)
    assert len(joined) <= bins


def test_the_sentence_counts_how_often_the_temperature_helps():
    rows = read(make_calibration(), make_calibration(recipe="multi", ece=0.1, ece_scaled=0.15))
    said = describe_calibration(rows)
    assert "for 1 of 2" in said and "from 0.150 to 0.100" in said


def test_temperatures_at_a_bound_of_the_search_are_counted_and_averaged_as_factors():
    rows = read(
        make_calibration(temperature=19.99999), make_calibration(seed=1, temperature=0.05),
        make_calibration(recipe="multi", temperature=19.0),
    )  # fmt: skip
    assert "2 of 3 temperatures stand at a bound of the search: at 20" in describe_calibration(rows)
    assert build_calibration(rows).rows[0][2].text == "1.000"


def test_the_baseline_and_the_best_other_recipe_are_shown():
    scores = [
        make_score(recipe=name, value=value, scope="emotion", task="emotion", test_set="redv2")
        for name, value in (("linear", 0.5), ("good", 0.7), ("better", 0.8), ("best", 0.9))
    ]
    rows = read(*(make_calibration(recipe=name) for name in ("linear", "good", "better")))
    shown = choose_shown(rows, group_test_sets(join_seeds(scores)), {"linear"})
    assert [row.recipe for row in shown["emotion", "redv2"]] == ["linear", "better"]


def test_the_plot_has_two_lines_per_recipe_inside_its_frame():
    rows = read(make_calibration(), make_calibration(recipe="multi"))
    picture = draw_reliability(Reliability("emotion", "REDv2", rows))
    assert len(list(picture.iter("path"))) == 4
    assert "multi, scaled" in render(picture)
    for circle in picture.iter("circle"):
        assert 0 <= float(circle.attrib["cx"]) <= WIDTH


def test_perfect_calibration_lies_on_the_diagonal():
    curve = [{"confidence": c, "accuracy": c, "count": 5} for c in (0.1, 0.5, 0.9)]
    (row,) = read(make_calibration(curve=curve))
    picture = draw_reliability(Reliability("emotion", "", [row]))
    (line,) = [x for x in picture.iter("line") if x.attrib["class"] == "reference"]
    x1, x2, y1, y2 = (float(line.attrib[name]) for name in ("x1", "x2", "y1", "y2"))
    group = picture.findall("g")[0]
    for circle in group.iter("circle"):
        share = (float(circle.attrib["cx"]) - x1) / (x2 - x1)
        assert float(circle.attrib["cy"]) == pytest.approx(y1 + share * (y2 - y1), abs=0.02)
