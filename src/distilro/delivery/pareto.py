"""The score-against-cost plot: one point per recipe, and the front of those that nothing beats.

A recipe is on the front where no other one is as cheap and as good, and better in one of the two.
The front is drawn as a line, numbered and listed below; the others are there to be seen, and are
named on hovering and in the ledger. Cost is on a logarithmic axis. Scores far below the rest stand
on the lower edge, so that they do not press the rest together. Means only: no interval is drawn.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

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
from distilro.delivery.tables import write_seconds

WIDTH = 360
_LEFT, _RIGHT, _HEAD, _SIDE, _FOOT = 48, 14, 26, 210, 74
_LINE = 15  # pixels of a line of the list
_APART = 11  # least pixels between two numbers
_FAR = 3.0  # a score is far below where it is so many times as far from the median as the best


@dataclass(frozen=True)
class Point:
    """One recipe: its training seconds (above 0), its score and its marker."""

    name: str
    seconds: float
    score: float
    shape: str = "circle"


@dataclass(frozen=True)
class Pareto:
    """One plot: its title, the name of its score and its points, at least one."""

    title: str
    axis: str
    points: Sequence[Point]


def find_front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other one dominates, by rising cost; of equals, the first.

    >>> points = [Point("a", 1, 0.5), Point("b", 2, 0.4), Point("c", 3, 0.6)]
    >>> [point.name for point in find_front(points)]
    ['a', 'c']
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.seconds, -point.score)):
        if not front or point.score > front[-1].score:
            front.append(point)
    return front


def draw_pareto(plot: Pareto) -> Element:
    """Draw one plot as a picture `WIDTH` pixels wide."""
    bottom, front = _HEAD + _SIDE, find_front(plot.points)
    height = bottom + _FOOT + _LINE * len(front)
    picture = start_picture(WIDTH, height, f"{plot.title}: {plot.axis} against cost")
    title = shorten_text(plot.title, WIDTH - 20, 12)
    add(picture, "text", title, x=8, y=14, class_="title")
    across, up = _choose_scales(plot.points, bottom)
    _draw_frame(picture, plot.axis, across, up, bottom)
    places = [(across.place(math.log10(p.seconds)), up.place(p.score)) for p in front]
    _draw_front(picture, places, across.end)
    for point in plot.points:
        _draw_point(picture, point, (across, up), on_front=point in front)
    _draw_numbers(picture, places)
    _draw_legend(picture, bottom + 52)
    _draw_list(picture, front, bottom + _FOOT + 10)
    return picture


def _draw_frame(parent: Element, axis: str, across: Scale, up: Scale, bottom: float) -> None:
    ticks = choose_ticks(up.low, up.high, 5)
    for tick in ticks:
        y = up.place(tick)
        add(parent, "line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="grid")
        add(parent, "text", write_tick(tick, ticks), x=_LEFT - 5, y=y + 4, class_="soft",
            text_anchor="end")  # fmt: skip
    for seconds in _choose_seconds(across):
        x = across.place(math.log10(seconds))
        add(parent, "line", x1=x, x2=x, y1=_HEAD, y2=bottom, class_="grid")
        add(parent, "text", _write_tick(seconds), x=x, y=bottom + 14, class_="soft",
            text_anchor="middle")  # fmt: skip
    words = {"class_": "soft", "text_anchor": "middle"}
    middle = (across.start + across.end) / 2
    add(parent, "text", "training of one model (log scale)", x=middle, y=bottom + 29, **words)
    place = (up.start + up.end) / 2
    add(parent, "text", axis, x=12, y=place, transform=f"rotate(-90 12 {place:g})", **words)


def _draw_front(parent: Element, places: Sequence[tuple[float, float]], end: float) -> None:
    """Draw the stairs: from each point of the front on, its score is to be had."""
    steps = [f"M{places[0][0]:.2f},{places[0][1]:.2f}"]
    steps += [f"H{x:.2f}V{y:.2f}" for x, y in places[1:]]
    add(parent, "path", d="".join([*steps, f"H{end:.2f}"]), class_="front")


def _draw_point(
    parent: Element, point: Point, scales: tuple[Scale, Scale], *, on_front: bool
) -> None:
    across, up = scales
    group = add(parent, "g")
    add(group, "title", f"{point.name}: {write_seconds(point.seconds)}, {point.score:.3f}")
    class_ = "series s0" if on_front else "faint"
    x, inside = across.place(math.log10(point.seconds)), point.score >= up.low
    shape, y = (point.shape, up.place(point.score)) if inside else (DOWN, up.start - 5)
    draw_marker(group, shape, x, y, class_, size=4.2 if on_front else 3.2)


def _draw_numbers(parent: Element, places: Sequence[tuple[float, float]]) -> None:
    """Write each point's number to its upper left, where by its being on the front no point is."""
    taken: list[tuple[float, float]] = []
    for number, (x, y) in enumerate(places, start=1):
        across, up = x - 9, y - 7
        while any(abs(across - a) < _APART and abs(up - b) < _APART for a, b in taken):
            up -= 2
        taken.append((across, up))
        add(parent, "text", str(number), x=across, y=up, text_anchor="middle", class_="small")


def _draw_legend(parent: Element, y: float) -> None:
    x = 10.0
    for shape, name in (("circle", "neural"), ("square", "linear"), ("diamond", "majority class")):
        draw_marker(parent, shape, x + 5, y - 4, "faint")
        add(parent, "text", name, x=x + 14, y=y)
        x += 28 + measure_text(name)
    draw_marker(parent, DOWN, x + 5, y - 4, "faint")
    add(parent, "text", "below the axis", x=x + 14, y=y)
    add(parent, "path", d=f"M10,{y + 13:g}h22", class_="front")
    add(parent, "text", "the front; on it:", x=38, y=y + 17)


def _draw_list(parent: Element, front: Sequence[Point], y: float) -> None:
    for number, point in enumerate(front, start=1):
        words = f"{number}  {point.name}: {write_seconds(point.seconds)}, {point.score:.3f}"
        add(parent, "text", shorten_text(words, WIDTH - 30), x=20, y=y + _LINE * (number - 1))


def _choose_scales(points: Sequence[Point], bottom: float) -> tuple[Scale, Scale]:
    costs = [math.log10(point.seconds) for point in points]
    scores = [point.score for point in points]
    wide = max(0.15, (max(costs) - min(costs)) * 0.06)
    best, middle = max(scores), statistics.median(scores)
    low = min(score for score in scores if score >= middle - _FAR * (best - middle) - 1e-9)
    low = min(low, find_front(points)[0].score)  # the front is always seen
    high = max(0.01, (best - low) * 0.08)
    across = Scale(min(costs) - wide, max(costs) + wide, _LEFT, WIDTH - _RIGHT)
    return across, Scale(low - high, best + 1.6 * high, bottom, _HEAD)


def _choose_seconds(across: Scale) -> list[float]:
    """Return powers of ten inside the axis; with one or none, also 2 and 5 times them."""
    powers = range(math.floor(across.low), math.ceil(across.high) + 1)
    tens = [10.0**power for power in powers]
    inside = [s for s in tens if across.low <= math.log10(s) <= across.high]
    if len(inside) > 1:
        return inside
    finer = [factor * ten for ten in tens for factor in (1, 2, 5)]
    return [s for s in finer if across.low <= math.log10(s) <= across.high]


def _write_tick(seconds: float) -> str:
    return f"{seconds:,g} s" if seconds < 1 else f"{seconds:,.0f} s"
