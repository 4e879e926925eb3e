import math

import pytest

from distilro.delivery.intervals import (
    PANEL_WIDTH,
    Mark,
    Panel,
    draw_panel,
    draw_panels,
    measure_panel,
)
from distilro.delivery.svg import render

NAN = math.nan
PANEL = Panel(
    title="emotion, Romanian",
    subtitle="REDv2",
    axis="macro F1",
    marks=[
        Mark("linear", "official", 0.5, 0.4, 0.6, (0.5,)),
        Mark("annealed", "official", 0.7, 0.6, 0.8, (0.65, 0.75)),
        Mark("annealed", "stripped", NAN, NAN, NAN, (NAN, NAN)),
    ],
    series=("official", "stripped"),
    reference="linear",
)


def test_equal_steps_in_value_are_equal_steps_in_the_picture():
    circles = [float(c.attrib["cx"]) for c in draw_panel(PANEL).iter("circle")][:2]
    lines = [line for line in draw_panel(PANEL).iter("line") if line.attrib["class"] == "series s0"]
    low, high = float(lines[0].attrib["x1"]), float(lines[0].attrib["x2"])
    assert (low + high) / 2 == pytest.approx(circles[0], abs=0.02)
    assert circles[1] - circles[0] == pytest.approx(high - low, abs=0.02)


def test_a_value_that_is_not_defined_is_named_and_not_drawn():
    picture = draw_panel(PANEL)
    assert "n/a (stripped)" in render(picture)
    in_rows = [polygon for group in picture.iter("g") for polygon in group.iter("polygon")]
    assert in_rows == []


def test_the_dashed_line_stands_at_the_reference_value():
    picture = draw_panel(PANEL)
    (line,) = [line for line in picture.iter("line") if line.attrib["class"] == "reference"]
    first = next(iter(picture.iter("circle")))
    assert line.attrib["x1"] == first.attrib["cx"]


def test_single_seeds_are_strokes_only_where_there_are_several():
    seeds = [line for line in draw_panel(PANEL).iter("line") if "seed" in line.attrib["class"]]
    assert len(seeds) == 2


def test_every_mark_stays_inside_the_panel():
    picture = draw_panel(PANEL)
    for line in picture.iter("line"):
        assert 0 <= float(line.attrib["x1"]) <= PANEL_WIDTH
        assert float(line.attrib["y2"]) <= measure_panel(PANEL)


def test_a_panel_with_nothing_defined_is_still_drawn():
    empty = Panel("t", "", "accuracy", [Mark("linear", "official", NAN, NAN, NAN)], ("official",))
    assert "n/a (official)" in render(draw_panel(empty))


def test_panels_stand_side_by_side_without_touching():
    picture = draw_panels([PANEL] * 5, columns=3, title="All")
    places = [group.attrib["transform"] for group in picture.findall("g")]
    assert len(set(places)) == 5
    width, height = map(float, picture.attrib["viewBox"].split()[2:])
    assert width == 3 * PANEL_WIDTH
    assert height >= 2 * measure_panel(PANEL)
