"""The dot plot: one panel per test set, a mark and an interval per recipe and variant.

It draws numbers that it is given; where they come from and how they are joined over seeds is
`measures.py`'s business. Values that are not defined are named, never drawn at zero.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from distilro.delivery.svg import (
    MARKERS,
    Scale,
    add,
    choose_ticks,
    draw_legend,
    draw_marker,
    measure_text,
    place_legend,
    shorten_text,
    start_picture,
    write_tick,
)

PANEL_WIDTH = 360
_LINE, _DENSE_LINE = 13, 9  # pixels between the variants of one recipe
_GAP, _DENSE_GAP = 9, 5  # pixels between two recipes
_NAMES = 150  # most pixels for the names of recipes
_MANY_ROWS = 12  # more recipes than this stand closer together
_HEAD = 36
_FOOT = 36


@dataclass(frozen=True)
class Mark:
    """One mark: its row and series, the value with its interval, and the single seeds' values."""

    row: str
    series: str
    value: float
    low: float
    high: float
    seeds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Panel:
    """One test set: its marks, the words of its title and axis, and the row to compare with."""

    title: str
    subtitle: str
    axis: str
    marks: Sequence[Mark]
    series: Sequence[str]
    reference: str | None = None


def draw_panel(panel: Panel) -> Element:
    """Draw one panel as a picture `PANEL_WIDTH` pixels wide."""
    picture = start_picture(PANEL_WIDTH, measure_panel(panel), f"{panel.title}: {panel.axis}")
    _fill_panel(picture, panel)
    return picture


def draw_panels(panels: Sequence[Panel], *, columns: int, title: str) -> Element:
    """Draw panels side by side, row by row, as one picture with a title."""
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heights = [max(measure_panel(panel) for panel in row) + 14 for row in rows]
    width = PANEL_WIDTH * min(columns, max(1, len(panels)))
    picture = start_picture(width, 34 + sum(heights), title)
    add(picture, "text", title, x=10, y=22, class_="title")
    top = 34.0
    for row, height in zip(rows, heights, strict=True):
        for column, panel in enumerate(row):
            group = add(picture, "g", transform=f"translate({column * PANEL_WIDTH} {top:g})")
            _fill_panel(group, panel)
        top += height
    return picture


def measure_panel(panel: Panel) -> float:
    """Return a panel's height in pixels."""
    return _HEAD + len(_list_rows(panel)) * _row_height(panel) + _FOOT + _legend_lines(panel) * 16


def _fill_panel(parent: Element, panel: Panel) -> None:
    rows = _list_rows(panel)
    left = 16 + max([40.0, *(measure_text(shorten_text(row, _NAMES)) for row in rows)])
    scale = _choose_scale(panel.marks, left, PANEL_WIDTH - 14)
    bottom = _HEAD + len(rows) * _row_height(panel)
    add(parent, "text", shorten_text(panel.title, PANEL_WIDTH - 20, 12), x=8, y=14, class_="title")
    add(parent, "text", shorten_text(panel.subtitle, PANEL_WIDTH - 16), x=8, y=28, class_="soft")
    _draw_axis(parent, panel, scale, bottom)
    height = _row_height(panel)
    for index in range(0, len(rows), 2):
        y = _HEAD + index * height
        add(parent, "rect", x=4, y=y, width=PANEL_WIDTH - 8, height=height, class_="band")
    _draw_grid(parent, panel, scale, bottom)
    for index, row in enumerate(rows):
        _draw_row(parent, panel, row, scale, _HEAD + index * _row_height(panel))
    draw_legend(parent, panel.series, 10, bottom + _FOOT + 8, PANEL_WIDTH - 8)


def _draw_axis(parent: Element, panel: Panel, scale: Scale, bottom: float) -> None:
    ticks = choose_ticks(scale.low, scale.high, 5)
    for tick in ticks:
        add(parent, "text", write_tick(tick, ticks), x=scale.place(tick), y=bottom + 13,
            class_="soft", text_anchor="middle")  # fmt: skip
    middle = (scale.start + scale.end) / 2
    add(parent, "text", panel.axis, x=middle, y=bottom + 28, class_="soft", text_anchor="middle")


def _draw_grid(parent: Element, panel: Panel, scale: Scale, bottom: float) -> None:
    for tick in choose_ticks(scale.low, scale.high, 5):
        x = scale.place(tick)
        add(parent, "line", x1=x, x2=x, y1=_HEAD, y2=bottom, class_="grid")
    for mark in panel.marks:
        first = mark.row == panel.reference and mark.series == panel.series[0]
        if first and math.isfinite(mark.value):
            x = scale.place(mark.value)
            add(parent, "line", x1=x, x2=x, y1=_HEAD, y2=bottom, class_="reference")


def _draw_row(parent: Element, panel: Panel, row: str, scale: Scale, top: float) -> None:
    middle = top + _row_height(panel) / 2
    add(
        parent,
        "text",
        shorten_text(row, _NAMES),
        x=scale.start - 8,
        y=middle + 4,
        text_anchor="end",
    )
    for mark in panel.marks:
        if mark.row != row:
            continue
        index = list(panel.series).index(mark.series)
        line, gap = _choose_spacing(panel)
        _draw_mark(parent, mark, index, scale, top + gap / 2 + (index + 0.5) * line)


def _draw_mark(parent: Element, mark: Mark, index: int, scale: Scale, y: float) -> None:
    class_ = f"series s{index % 6}"
    if not math.isfinite(mark.value):
        add(parent, "text", f"n/a ({mark.series})", x=scale.start + 4, y=y + 4, class_="soft")
        return
    group = add(parent, "g")
    add(group, "title", f"{mark.row}, {mark.series}: {_write_mark(mark)}")
    if math.isfinite(mark.low) and math.isfinite(mark.high):
        add(group, "line", x1=scale.place(mark.low), x2=scale.place(mark.high), y1=y, y2=y,
            class_=class_)  # fmt: skip
    if len(mark.seeds) > 1:
        for value in mark.seeds:
            x = scale.place(value)
            add(group, "line", x1=x, x2=x, y1=y - 4.5, y2=y + 4.5, class_=f"{class_} seed")
    draw_marker(group, MARKERS[index % len(MARKERS)], scale.place(mark.value), y, class_)


def _write_mark(mark: Mark) -> str:
    if not (math.isfinite(mark.low) and math.isfinite(mark.high)):
        return f"{mark.value:.3f}"
    return f"{mark.value:.3f} [{mark.low:.3f}, {mark.high:.3f}]"


def _choose_scale(marks: Sequence[Mark], start: float, end: float) -> Scale:
    values = [
        value
        for mark in marks
        for value in (mark.value, mark.low, mark.high, *mark.seeds)
        if math.isfinite(value)
    ]
    if not values:
        return Scale(0, 1, start, end)
    low, high = min(values), max(values)
    margin = max(0.01, (high - low) * 0.06)
    return Scale(max(0.0, low - margin), min(1.0, high + margin), start, end)


def _list_rows(panel: Panel) -> list[str]:
    return list(dict.fromkeys(mark.row for mark in panel.marks))


def _row_height(panel: Panel) -> float:
    line, gap = _choose_spacing(panel)
    return len(panel.series) * line + gap


def _choose_spacing(panel: Panel) -> tuple[float, float]:
    """Return the pixels between variants and between recipes."""
    many = len(_list_rows(panel)) > _MANY_ROWS
    return (_DENSE_LINE, _DENSE_GAP) if many else (_LINE, _GAP)


def _legend_lines(panel: Panel) -> int:
    return 1 + max((line for _, line in place_legend(panel.series, 10, PANEL_WIDTH - 8)), default=0)
