import math

from distilro.delivery.curves import Curve, draw_curves
from distilro.delivery.svg import render

POINTS = [(1.0, 0.9, {"emotion": 0.3}), (2.0, 0.6, {"emotion": 0.5}), (3.0, 0.5, {"emotion": 0.4})]


def test_the_epoch_that_was_kept_has_the_only_ring():
    picture = draw_curves("single_ro: emotion", [Curve(0, POINTS, [2.0])], ["emotion"])
    rings = [c for c in picture.iter("circle") if c.attrib["class"] == "ring"]
    assert len(rings) == 1
    marks = [c for c in picture.iter("circle") if c.attrib["class"] == "series s0"]
    assert rings[0].attrib["cx"] == marks[1].attrib["cx"]
    assert rings[0].attrib["cy"] == min((m.attrib["cy"] for m in marks[:3]), key=float)


def test_each_seed_has_a_line_of_loss_and_one_of_score():
    curves = [Curve(seed, POINTS) for seed in (0, 1)]
    paths = list(draw_curves("a", curves, ["emotion"]).iter("path"))
    assert len(paths) == 4


def test_tasks_differ_in_dash_and_marker_and_not_only_in_colour():
    points = [(e, loss, {"emotion": 0.3, "topic": 0.4}) for e, loss, _ in POINTS]
    picture = draw_curves("multi: all", [Curve(0, points)], ["emotion", "topic"])
    classes = [path.attrib["class"] for path in picture.iter("path")]
    assert "series s0 d0" in classes and "series s1 d1" in classes
    assert list(picture.iter("polygon"))


def test_a_number_that_is_not_finite_leaves_a_gap_and_no_error():
    points = [(1.0, math.nan, {"emotion": math.nan}), *POINTS[1:]]
    assert "nan" not in render(draw_curves("a", [Curve(0, points)], ["emotion"]))


def test_a_training_without_points_is_an_empty_frame():
    assert "training loss" in render(draw_curves("a", [Curve(0, [])], ["emotion"]))
