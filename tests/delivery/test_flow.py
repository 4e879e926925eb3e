import pytest

from distilro.delivery.flow import draw_flow
from distilro.delivery.layers import Flow
from distilro.delivery.svg import render

FLOW = Flow(
    {"fetch": "fetch", "train": "train", "logits": "logits"},
    [("fetch", "train"), ("train", "logits"), ("logits", "train")],
    {"train": "teachers & students"},
)


@pytest.mark.parametrize("upright", [True, False])
def test_every_rule_is_a_box_inside_the_picture(upright):
    picture = draw_flow(FLOW, upright=upright)
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    boxes = [element.attrib for element in picture.iter("rect")]
    assert len(boxes) == 3
    for box in boxes:
        assert 0 <= float(box["x"]) and float(box["x"]) + float(box["width"]) <= width
        assert 0 <= float(box["y"]) and float(box["y"]) + float(box["height"]) <= height
    assert len({(box["x"], box["y"]) for box in boxes}) == 3


def test_each_arrow_has_a_tip_and_the_one_back_is_dashed():
    picture = draw_flow(FLOW, upright=False)
    assert [path.attrib["class"] for path in picture.iter("path")] == [
        "arrow",
        "arrow",
        "arrow back",
    ]
    assert len(list(picture.iter("polygon"))) == 3


def test_notes_are_shown_in_the_upright_form_and_escaped():
    assert "teachers &amp; students</text>" in render(draw_flow(FLOW, upright=True))
    assert "teachers &amp; students</text>" not in render(draw_flow(FLOW, upright=False))


def test_the_upright_form_fits_a_phone():
    picture = draw_flow(FLOW, upright=True)
    assert float(picture.attrib["viewBox"].split()[2]) <= 360
