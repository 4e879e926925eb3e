import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.delivery import svg


def test_a_scale_maps_its_ends_to_its_places():
    scale = svg.Scale(0.4, 0.8, 100, 300)
    assert [scale.place(value) for value in (0.4, 0.6, 0.8)] == pytest.approx([100, 200, 300])


def test_a_scale_without_a_range_puts_all_in_the_middle():
    assert svg.Scale(0.5, 0.5, 100, 300).place(0.5) == 200


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 9))
def test_ticks_are_few_in_order_and_inside_the_range(low, width, most):
    ticks = svg.choose_ticks(low, low + width, most)
    assert len(ticks) <= most
    assert ticks == sorted(set(ticks))
    slack = 1e-6 * max(1.0, abs(low) + width)
    assert all(low - slack <= tick <= low + width + slack for tick in ticks)


def test_ticks_have_as_many_decimals_as_their_axis_needs():
    ticks = svg.choose_ticks(0.42, 0.71)
    assert [svg.write_tick(tick, ticks) for tick in ticks][:2] == ["0.45", "0.50"]
    assert svg.write_tick(2.0, [0.0, 2.0, 4.0]) == "2"


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")))
def test_any_text_is_escaped_and_read_back_as_it_was(text):
    picture = svg.start_picture(10, 10, "picture")
    svg.add(picture, "text", text, x=1.0)
    parsed = ElementTree.fromstring(svg.render(picture))
    assert (parsed[-1].text or "") == text


def test_every_marker_has_a_form_of_its_own():
    forms = set()
    for marker in svg.MARKERS:
        picture = svg.start_picture(10, 10, "picture")
        svg.draw_marker(picture, marker, 5, 5, "series s0")
        forms.add(svg.render(picture))
    assert len(forms) == len(svg.MARKERS)


def test_a_legend_breaks_into_lines_before_the_right_edge():
    names = ["official", "deduplicated", "stripped", "another one"]
    places = svg.place_legend(names, 10, 200)
    for name, (x, _) in zip(names, places, strict=True):
        assert x == 10 or x + 28 + svg.measure_text(name) <= 200
    assert [line for _, line in places] == sorted(line for _, line in places)
    assert places[-1][1] > 0


def test_a_picture_alone_has_its_size_style_and_both_colour_schemes():
    alone = svg.render_alone(svg.start_picture(320, 200, "picture"))
    assert 'width="320"' in alone and 'height="200"' in alone
    assert svg.LIGHT in alone and svg.DARK in alone
    assert not re.search(r"(?:href|src|url\()", alone)


def test_a_long_text_is_shortened_with_an_ellipsis_and_a_short_one_is_not():
    assert svg.shorten_text("linear", 120) == "linear"
    short = svg.shorten_text("a_recipe_with_a_very_long_name", 120)
    assert short.endswith("…") and svg.measure_text(short) <= 120
