"""The reliability plot: how often answers of a stated confidence are right, one panel per task.

The diagonal is perfect calibration: below it a model is surer than it is right. It draws joined
curves; what they are means of is `calibration.py`'s business. A mark's area grows with the rows
behind it, so that a bin of few rows looks as unsure as it is.

Source: Guo et al. (2017), On Calibration of Modern Neural Networks, section 2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from distilro.delivery.calibration import Calibration, Point
from distilro.delivery.svg import (
    MARKERS,
    Scale,
    add,
    draw_legend,
    draw_marker,
    place_legend,
    shorten_text,
    start_picture,
    write_tick,
)

WIDTH = 360
_LEFT, _RIGHT, _HEAD, _SIDE = 48, 16, 36, 250
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_LEAST, _MOST = 1.4, 4.6  # pixels that a mark reaches to each side, by its share of the rows


@dataclass(frozen=True)
class Reliability:
    """One panel: its words and the recipes that it shows, two curves each."""

    title: str
    subtitle: str
    rows: Sequence[Calibration]


def draw_reliability(panel: Reliability) -> Element:
    """Draw one panel as a picture `WIDTH` pixels wide."""
    lines = [line for row in panel.rows for line in _list_lines(row)]
    names = [name for name, _ in lines]
    legend = 1 + max((line for _, line in place_legend(names, 10, WIDTH - 8)), default=0)
    bottom = _HEAD + _SIDE
    picture = start_picture(WIDTH, bottom + 44 + 16 * legend, f"Reliability, {panel.title}")
    title = shorten_text(panel.title, WIDTH - 20, 12)
    add(picture, "text", title, x=8, y=14, class_="title")
    add(picture, "text", shorten_text(panel.subtitle, WIDTH - 16), x=8, y=28, class_="soft")
    across, up = Scale(0, 1, _LEFT, WIDTH - _RIGHT), Scale(0, 1, bottom, _HEAD + 4)
    _draw_frame(picture, across, up, bottom)
    for index, (name, curve) in enumerate(lines):
        _draw_curve(picture, name, curve, (across, up), index)
    draw_legend(picture, names, 10, bottom + 50, WIDTH - 8)
    return picture


def _list_lines(row: Calibration) -> list[tuple[str, Sequence[Point]]]:
    return [(f"{row.recipe}, as trained", row.curve), (f"{row.recipe}, scaled", row.curve_scaled)]


def _draw_frame(parent: Element, across: Scale, up: Scale, bottom: float) -> None:
    for tick in _TICKS:
        x, y, text = across.place(tick), up.place(tick), write_tick(tick, _TICKS)
        add(parent, "line", x1=across.start, x2=across.end, y1=y, y2=y, class_="grid")
        add(parent, "text", text, x=across.start - 6, y=y + 4, class_="soft", text_anchor="end")
        add(parent, "text", text, x=x, y=bottom + 14, class_="soft", text_anchor="middle")
    ends = {"x1": across.start, "x2": across.end, "y1": up.start, "y2": up.end}
    add(parent, "line", class_="reference", **ends)
    middle = (across.start + across.end) / 2
    words = {"class_": "soft", "text_anchor": "middle"}
    add(parent, "text", "confidence", x=middle, y=bottom + 29, **words)
    place = (up.start + up.end) / 2
    turned = f"rotate(-90 12 {place:g})"
    add(parent, "text", "share that is right", x=12, y=place, transform=turned, **words)


def _draw_curve(
    parent: Element, name: str, curve: Sequence[Point], scales: tuple[Scale, Scale], index: int
) -> None:
    across, up = scales
    class_ = f"series s{index % 6}"
    places = [(across.place(confidence), up.place(right)) for confidence, right, _ in curve]
    group = add(parent, "g")
    add(group, "title", name)
    if len(places) > 1:
        points = "L".join(f"{x:.2f},{y:.2f}" for x, y in places)
        add(group, "path", d=f"M{points}", class_=f"{class_} d{index % 4}")
    most = max((count for *_, count in curve), default=1)
    for (x, y), (_, _, count) in zip(places, curve, strict=True):
        size = _LEAST + (_MOST - _LEAST) * math.sqrt(count / most)
        draw_marker(group, MARKERS[index % len(MARKERS)], x, y, class_, size=size)
