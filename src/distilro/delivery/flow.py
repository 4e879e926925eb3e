"""The picture of the workflow: boxes for rules, arrows for files.

Where each box stands is `layers.py`'s business; here boxes and arrows are drawn, from left to
right for a wide page or from top to bottom for a narrow one. An arrow that goes back (a model that
teaches another one) is dashed.
"""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from distilro.delivery.layers import Flow, lay_out
from distilro.delivery.svg import add, measure_text, start_picture

_NOTE_SIZE = 9.5
_MARGIN = 8

Place = tuple[float, float]


def draw_flow(flow: Flow, *, upright: bool) -> Element:
    """Draw the graph from left to right, or, with the notes, from top to bottom if `upright`."""
    plan = lay_out(flow)
    half = _measure_boxes(flow, notes=upright) / 2
    tall = 38.0 if upright else 28.0
    along, across = (tall + 26, 2 * half + 12) if upright else (2 * half + 24, tall + 18)
    most = max(len(layer) for layer in plan.layers)
    places = {}
    for depth, layer in enumerate(plan.layers):
        for index, node in enumerate(layer):
            place = depth * along, (index + (most - len(layer)) / 2) * across
            x, y = reversed(place) if upright else place
            places[node] = (x + half + _MARGIN, y + tall / 2 + _MARGIN)
    width = max(x for x, _ in places.values()) + half + _MARGIN
    height = max(y for _, y in places.values()) + tall / 2 + _MARGIN
    picture = start_picture(width, height, "The rules of the workflow")
    for chain in plan.chains:
        way = [places[node] for node in chain]
        _draw_arrow(picture, way, reach=tall / 2 if upright else half, upright=upright)
    for start, end in plan.back:
        reach = tall / 2 if upright else half
        _draw_back(picture, places[start], places[end], reach=reach, upright=upright)
    for node in flow.labels:
        _draw_box(picture, flow, node, (*places[node], half, tall), notes=upright)
    return picture


def _measure_boxes(flow: Flow, *, notes: bool) -> float:
    widths = [measure_text(label) for label in flow.labels.values()]
    if notes:
        widths += [measure_text(note, _NOTE_SIZE) for note in flow.notes.values()]
    return max(widths) + 14


def _draw_box(
    picture: Element,
    flow: Flow,
    node: str,
    box: tuple[float, float, float, float],
    *,
    notes: bool,
) -> None:
    x, y, half, tall = box
    note = flow.notes.get(node, "")
    group = add(picture, "g")
    add(group, "title", f"{flow.labels[node]}: {note}" if note else flow.labels[node])
    corner = {"x": x - half, "y": y - tall / 2}
    add(group, "rect", **corner, width=2 * half, height=tall, rx=6, class_="box")
    shown = bool(notes and note)
    add(group, "text", flow.labels[node], x=x, y=y - 2 if shown else y + 4, text_anchor="middle")
    if shown:
        size = f"font-size:{_NOTE_SIZE}px"
        add(group, "text", note, x=x, y=y + 12, text_anchor="middle", class_="soft", style=size)


def _draw_arrow(picture: Element, way: Sequence[Place], *, reach: float, upright: bool) -> None:
    """Draw an arrow through all places: straight past boxes, bent only between layers."""
    dx, dy = (0.0, reach) if upright else (reach, 0.0)
    points = [(way[0][0] + dx, way[0][1] + dy)]
    for x, y in way[1:-1]:
        points += [(x - dx, y - dy), (x + dx, y + dy)]
    tip = way[-1][0] - dx, way[-1][1] - dy
    end = (tip[0], tip[1] - 6) if upright else (tip[0] - 6, tip[1])
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x1, y1), (x2, y2) in zip(points, [*points[1:], end], strict=True):
        mx, my = (x1 + x2) / 2, (y1 + y2) / 2
        bend = (x1, my, x2, my) if upright else (mx, y1, mx, y2)
        path += "C" + " ".join(f"{number:.1f}" for number in (*bend, x2, y2))
    add(picture, "path", d=path, class_="arrow")
    _draw_tip(picture, tip, (0, 1) if upright else (1, 0))


def _draw_back(picture: Element, start: Place, end: Place, *, reach: float, upright: bool) -> None:
    """Draw a dashed arrow from a later box to an earlier one, beside the way there."""
    side = -9.0
    if upright:
        (x1, y1), (x2, y2) = (start[0] + side, start[1] - reach), (end[0] + side, end[1] + reach)
        middle = (y1 + y2) / 2
        bend, towards = (x1, middle, x2, middle, x2, y2 + 6), (0, -1)
    else:
        (x1, y1), (x2, y2) = (start[0] - reach, start[1] + side), (end[0] + reach, end[1] + side)
        middle = (x1 + x2) / 2
        bend, towards = (middle, y1, middle, y2, x2 + 6, y2), (-1, 0)
    path = f"M{x1:.1f} {y1:.1f}C" + " ".join(f"{number:.1f}" for number in bend)
    add(picture, "path", d=path, class_="arrow back")
    _draw_tip(picture, (x2, y2), towards)


def _draw_tip(picture: Element, tip: Place, towards: tuple[int, int]) -> None:
    (x, y), (dx, dy), length, half = tip, towards, 7, 4
    corners = [
        (x, y),
        (x - length * dx - half * dy, y - length * dy - half * dx),
        (x - length * dx + half * dy, y - length * dy + half * dx),
    ]
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    add(picture, "polygon", points=points, class_="tip")
