from hypothesis import given
from hypothesis import strategies as st

from distilro.delivery.pareto import WIDTH, Pareto, Point, draw_pareto, find_front
from distilro.delivery.svg import render

clouds = st.lists(st.tuples(st.floats(0.01, 1e6), st.floats(0, 1)), min_size=1, max_size=30).map(
    lambda pairs: [Point(f"r{i}", *pair) for i, pair in enumerate(pairs)]
)


def dominates(one, other):
    as_good = one.seconds <= other.seconds and one.score >= other.score
    return as_good and (one.seconds, one.score) != (other.seconds, other.score)


@given(clouds)
def test_nothing_dominates_the_front_and_the_front_dominates_the_rest(points):
    front = find_front(points)
    assert not [1 for kept in front for point in points if dominates(point, kept)]
    for point in points:
        same = [(p.seconds, p.score) for p in front]
        assert (point.seconds, point.score) in same or any(dominates(p, point) for p in front)


@given(clouds)
def test_every_mark_and_text_stays_inside_the_picture(points):
    picture = draw_pareto(Pareto("emotion", "macro F1", points))
    height = float(picture.attrib["viewBox"].split()[3])
    for circle in picture.iter("circle"):
        assert 0 <= float(circle.attrib["cx"]) <= WIDTH
        assert 0 <= float(circle.attrib["cy"]) <= height
    assert max(float(text.attrib["y"]) for text in picture.iter("text")) <= height


def test_the_front_is_numbered_and_listed_by_rising_cost():
    points = [Point("dear", 100, 0.9), Point("cheap", 1, 0.5), Point("bad", 50, 0.4)]
    markup = render(draw_pareto(Pareto("emotion", "macro F1", points)))
    assert "1  cheap: 1.0 s, 0.500" in markup and "2  dear: 1 min 40 s, 0.900" in markup
    assert "3  " not in markup
    assert "<title>bad: 50.0 s, 0.400</title>" in markup


def test_a_score_far_below_stands_on_the_lower_edge_and_keeps_its_true_value():
    near = [Point(f"r{i}", 10 + i, 0.7 + 0.01 * i) for i in range(6)]
    picture = draw_pareto(Pareto("emotion", "F1", [*near, Point("floor", 20, 0.05)]))
    (group,) = [g for g in picture.findall("g") if "floor" in g[0].text]
    assert group[0].text == "floor: 20.0 s, 0.050"
    assert len(list(group.iter("polygon"))) == 1
    assert not list(group.iter("circle"))


def test_a_single_point_is_its_own_front():
    assert "1  only: 2.0 s" in render(draw_pareto(Pareto("t", "F1", [Point("only", 2, 0.5)])))
