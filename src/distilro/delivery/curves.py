"""Training curves: one small panel per recipe and scope, loss above, validation score below.

The loss has one thin line per seed. The validation score has one colour, marker and dash per
task; the seeds are lines of the same kind, and a ring shows the step that was kept.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from distilro.delivery.svg import (
    MARKERS,
    Scale,
    add,
    choose_ticks,
    draw_legend,
    draw_marker,
    place_legend,
    shorten_text,
    start_picture,
    write_tick,
)

WIDTH = 360
_LEFT, _RIGHT, _HEAD, _LOSS, _SCORE, _BETWEEN = 44, 12, 38, 64, 96, 34


@dataclass(frozen=True)
class Curve:
    """One training: its seed, the points of its history in order and the epochs that were kept.

    `points` are (epoch, loss, task -> validation score); a loss that was not recorded is NaN.
    """

    seed: int
    points: Sequence[tuple[float, float, Mapping[str, float]]]
    kept_epochs: Sequence[float] = ()


def draw_curves(title: str, curves: Sequence[Curve], tasks: Sequence[str]) -> Element:
    """Draw the trainings of one recipe and scope as a picture `WIDTH` pixels wide."""
    lines = 1 + max((line for _, line in place_legend(tasks, 10, WIDTH - 8)), default=0)
    height = _HEAD + _LOSS + _BETWEEN + _SCORE + 36 + lines * 16
    picture = start_picture(WIDTH, height, f"Training curves of {title}")
    add(picture, "text", shorten_text(title, WIDTH - 20, 12), x=8, y=14, class_="title")
    last = max((point[0] for curve in curves for point in curve.points), default=1.0)
    across = Scale(0, last, _LEFT, WIDTH - _RIGHT)
    _draw_loss(picture, curves, across)
    top = _HEAD + _LOSS + _BETWEEN
    _draw_scores(picture, curves, tasks, across, top)
    _draw_epochs(picture, across, top + _SCORE)
    draw_legend(picture, tasks, 10, top + _SCORE + 46, WIDTH - 8)
    return picture


def _draw_loss(picture: Element, curves: Sequence[Curve], across: Scale) -> None:
    lines = [[(epoch, loss) for epoch, loss, _ in curve.points] for curve in curves]
    up = _choose_scale(lines, _HEAD + _LOSS, _HEAD, floor=0.0)
    _draw_frame(picture, "training loss", up, most=3)
    for line in lines:
        _draw_line(picture, line, across, up, "series s5 d0")


def _draw_scores(
    picture: Element, curves: Sequence[Curve], tasks: Sequence[str], across: Scale, top: float
) -> None:
    lines = {
        (curve.seed, task): [
            (epoch, valid[task]) for epoch, _, valid in curve.points if task in valid
        ]
        for curve in curves
        for task in tasks
    }
    up = _choose_scale(list(lines.values()), top + _SCORE, top)
    _draw_frame(picture, "validation score", up, most=5)
    for curve in curves:
        for index, task in enumerate(tasks):
            line = lines[curve.seed, task]
            class_ = f"series s{index % 6}"
            _draw_line(picture, line, across, up, f"{class_} d{index % 4}")
            for epoch, value in line:
                if math.isfinite(value):
                    place = across.place(epoch), up.place(value)
                    shape = MARKERS[index % len(MARKERS)]
                    draw_marker(picture, shape, *place, class_, size=2.2)
                    if epoch in curve.kept_epochs:
                        add(picture, "circle", cx=place[0], cy=place[1], r=6, class_="ring")


def _draw_frame(picture: Element, name: str, up: Scale, *, most: int) -> None:
    add(picture, "text", name, x=_LEFT, y=min(up.start, up.end) - 6, class_="soft")
    ticks = choose_ticks(up.low, up.high, most)
    for tick in ticks:
        y = up.place(tick)
        add(picture, "line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="grid")
        add(picture, "text", write_tick(tick, ticks), x=_LEFT - 5, y=y + 4, class_="soft",
            text_anchor="end")  # fmt: skip


def _draw_epochs(picture: Element, across: Scale, bottom: float) -> None:
    ticks = choose_ticks(0, across.high, 6)
    for tick in ticks:
        add(picture, "text", write_tick(tick, ticks), x=across.place(tick),
            y=bottom + 14, class_="soft", text_anchor="middle")  # fmt: skip
    middle = (across.start + across.end) / 2
    add(picture, "text", "epoch", x=middle, y=bottom + 27, class_="soft", text_anchor="middle")


def _draw_line(
    picture: Element, line: Sequence[tuple[float, float]], across: Scale, up: Scale, class_: str
) -> None:
    points = [
        f"{across.place(epoch):.2f},{up.place(value):.2f}"
        for epoch, value in line
        if math.isfinite(value)
    ]
    if len(points) > 1:
        add(picture, "path", d="M" + "L".join(points), class_=class_)


def _choose_scale(
    lines: Sequence[Sequence[tuple[float, float]]],
    start: float,
    end: float,
    floor: float | None = None,
) -> Scale:
    values = [value for line in lines for _, value in line if math.isfinite(value)]
    if not values:
        return Scale(0, 1, start, end)
    low, high = min(values) if floor is None else floor, max(values)
    margin = max(0.01, (high - low) * 0.05)
    return Scale(low if floor is not None else low - margin, high + margin, start, end)
