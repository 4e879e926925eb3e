import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.delivery.comparisons import read_family
from distilro.delivery.forest import WIDTH, Forest, draw_forest
from distilro.delivery.inputs import Source
from distilro.delivery.svg import render
from tests.delivery.evidence import make_comparison, make_family


def draw(*changes):
    rows = [make_comparison(**{"recipe": f"r{i}", **change}) for i, change in enumerate(changes)]
    family = read_family(Source("comparisons.json", make_family(*rows)))
    return draw_forest(Forest("emotion", "REDv2", "difference", family.rows))


def list_intervals(picture):
    return [line for line in picture.iter("line") if line.attrib["class"].startswith("series")]


def test_the_zero_line_is_always_there():
    for change in ({}, {"difference": -0.3, "low": -0.31, "high": -0.29}):
        zeros = [x for x in draw(change).iter("line") if x.attrib["class"] == "zero"]
        assert len(zeros) == 1


def test_an_interval_beyond_zero_stays_on_its_side():
    picture = draw({}, {"difference": -0.03, "low": -0.05, "high": -0.01})
    (zero,) = [float(x.attrib["x1"]) for x in picture.iter("line") if x.attrib["class"] == "zero"]
    higher, lower = list_intervals(picture)
    assert float(higher.attrib["x1"]) > zero > float(lower.attrib["x2"])


def test_an_indication_is_outlined_and_a_claim_is_filled():
    def is_outlined(picture):
        (group,) = picture.findall("g")
        return ["outlined" in mark.attrib["class"] for mark in group.iter("polygon")]

    assert is_outlined(draw({"claim": True})) == [False]
    assert is_outlined(draw({"claim": False})) == [True]


def test_what_is_not_distinguishable_is_a_hollow_circle_even_where_seeds_suffice():
    (group,) = draw({"verdict": "not distinguishable"}).findall("g")
    (circle,) = group.iter("circle")
    assert "outlined" in circle.attrib["class"]


def test_the_range_of_a_row_is_twice_its_minimum_detectable_difference():
    picture = draw({"difference": 0.0, "low": -0.1, "high": 0.1, "minimum_detectable": 0.05})
    (row,) = [r for r in picture.iter("rect") if float(r.attrib["height"]) > 12]
    (interval,) = list_intervals(picture)
    whole = float(interval.attrib["x2"]) - float(interval.attrib["x1"])
    assert float(row.attrib["width"]) == pytest.approx(whole / 2, abs=0.02)


def test_a_difference_that_is_not_defined_is_named_and_not_drawn():
    picture = draw({"difference": None, "low": None, "high": None, "minimum_detectable": None})
    assert "n/a" in render(picture)
    assert list_intervals(picture) == []


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 0.5)), min_size=1, max_size=30))
def test_everything_stays_inside_the_picture(pairs):
    picture = draw(
        *({"difference": d, "low": d - w, "high": d + w, "minimum_detectable": 2 * w}
          for d, w in pairs)
    )  # fmt: skip
    height = float(picture.attrib["viewBox"].split()[3])
    for line in picture.iter("line"):
        assert 0 <= float(line.attrib["x1"]) <= float(line.attrib["x2"]) <= WIDTH
        assert 0 <= float(line.attrib["y2"]) <= height
    for rect in picture.iter("rect"):
        assert float(rect.attrib["x"]) >= 0
        assert float(rect.attrib["x"]) + float(rect.attrib["width"]) <= WIDTH
