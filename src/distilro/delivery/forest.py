"""The forest plot: differences from a reference with their intervals, one panel per test set.

The line at zero is "no difference"; the grey range of a row holds the differences that its test
set is too small to tell apart. Shape says the verdict and filling says how firm it is, so that the
picture reads the same in black and white. It draws numbers that it is given and judges none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from distilro.delivery.comparisons import Comparison, name_rows
from distilro.delivery.svg import (
    DOWN,
    Scale,
    add,
    choose_ticks,
    draw_marker,
    measure_text,
    shorten_text,
    start_picture,
    write_tick,
)
from distilro.delivery.tables import write_interval, write_signed
from distilro.evaluation.verdicts import HIGHER, LOWER, UNDECIDED

WIDTH = 360
_ROW = 27
_HEAD = 38
_AXIS = 38
_LEGEND = 52
_NAMES = 150  # most pixels for the names
_SHAPES = {HIGHER: ("triangle", "s0"), LOWER: (DOWN, "s1"), UNDECIDED: ("circle", "s5")}


@dataclass(frozen=True)
class Forest:
    """One panel: its words and the comparisons of one test set."""

    title: str
    subtitle: str
    axis: str
    rows: Sequence[Comparison]


def draw_forest(forest: Forest) -> Element:
    """Draw one panel as a picture `WIDTH` pixels wide."""
    bottom = _HEAD + _ROW * len(forest.rows)
    picture = start_picture(WIDTH, bottom + _AXIS + _LEGEND, f"{forest.title}: {forest.axis}")
    title = shorten_text(forest.title, WIDTH - 20, 12)
    add(picture, "text", title, x=8, y=14, class_="title")
    add(picture, "text", shorten_text(forest.subtitle, WIDTH - 16), x=8, y=28, class_="soft")
    names = name_rows(forest.rows)
    words = [*names.values(), *(_name_reference(row) for row in forest.rows)]
    left = 16 + max([40.0, *(measure_text(shorten_text(word, _NAMES)) for word in words)])
    scale = _choose_scale(forest.rows, left, WIDTH - 14)
    for index, row in enumerate(forest.rows):
        _draw_range(picture, row, scale, _HEAD + index * _ROW)
    _draw_axis(picture, forest.axis, scale, bottom)
    for index, row in enumerate(forest.rows):
        _draw_row(picture, row, names[row], scale, _HEAD + (index + 0.5) * _ROW)
    _draw_legend(picture, bottom + _AXIS + 8)
    return picture


def _draw_range(parent: Element, row: Comparison, scale: Scale, top: float) -> None:
    """Draw the differences that cannot be told apart, cut to the axis."""
    if not math.isfinite(row.minimum_detectable):
        return
    low = max(scale.low, -row.minimum_detectable)
    high = min(scale.high, row.minimum_detectable)
    start, end = scale.place(low), scale.place(high)
    add(parent, "rect", x=start, y=top + 4, width=end - start, height=_ROW - 8, class_="range")


def _draw_axis(parent: Element, axis: str, scale: Scale, bottom: float) -> None:
    ticks = choose_ticks(scale.low, scale.high, 5)
    for tick in ticks:
        x, class_ = scale.place(tick), "zero" if tick == 0 else "grid"
        add(parent, "line", x1=x, x2=x, y1=_HEAD, y2=bottom, class_=class_)
        text = write_tick(tick, ticks).replace("-", "−")
        add(parent, "text", text, x=x, y=bottom + 13, class_="soft", text_anchor="middle")
    middle = (scale.start + scale.end) / 2
    add(parent, "text", axis, x=middle, y=bottom + 28, class_="soft", text_anchor="middle")


def _draw_row(parent: Element, row: Comparison, name: str, scale: Scale, y: float) -> None:
    side = {"x": scale.start - 8, "text_anchor": "end"}
    add(parent, "text", shorten_text(name, _NAMES), y=y - 1, **side)
    reference = shorten_text(_name_reference(row), _NAMES, 10)
    add(parent, "text", reference, y=y + 10, class_="soft small", **side)
    if not math.isfinite(row.difference):
        add(parent, "text", "n/a", x=scale.start + 4, y=y + 4, class_="soft")
        return
    group = add(parent, "g")
    add(group, "title", _describe(row, name))
    shape, colour = _SHAPES[row.verdict]
    if math.isfinite(row.low) and math.isfinite(row.high):
        ends = {"x1": scale.place(row.low), "x2": scale.place(row.high)}
        add(group, "line", y1=y, y2=y, class_=f"series {colour}", **ends)
    filling = "" if row.claim and row.verdict != UNDECIDED else " outlined"
    draw_marker(group, shape, scale.place(row.difference), y, f"series {colour}{filling}", size=4)


def _describe(row: Comparison, name: str) -> str:
    interval = write_interval(row.low, row.high)
    difference = f"{write_signed(row.difference)} {interval}"
    return f"{name} minus {row.reference}: {difference}, {row.verdict}"


def _draw_legend(parent: Element, y: float) -> None:
    x = 10.0
    for verdict, (shape, colour) in _SHAPES.items():
        class_ = f"series {colour}{' outlined' if verdict == UNDECIDED else ''}"
        draw_marker(parent, shape, x + 5, y - 4, class_, size=4)
        add(parent, "text", verdict, x=x + 14, y=y)
        x += 28 + measure_text(verdict)
    draw_marker(parent, "triangle", 15, y + 12, "series s0 outlined", size=4)
    draw_marker(parent, DOWN, 28, y + 12, "series s1 outlined", size=4)
    add(parent, "text", "outlined: an indication, too few seeds for a claim", x=38, y=y + 16)
    add(parent, "rect", x=10, y=y + 24, width=22, height=11, class_="range")
    add(parent, "text", "below the minimum detectable difference", x=38, y=y + 33)


def _choose_scale(rows: Sequence[Comparison], start: float, end: float) -> Scale:
    """Return an axis that holds zero and every interval; ranges may reach beyond it."""
    values = [
        value for row in rows for value in (row.difference, row.low, row.high)
        if math.isfinite(value)
    ]  # fmt: skip
    low, high = min([0.0, *values]), max([0.0, *values])
    margin = max(0.005, (high - low) * 0.06)
    return Scale(low - margin, high + margin, start, end)


def _name_reference(row: Comparison) -> str:
    return f"minus {row.reference}"
