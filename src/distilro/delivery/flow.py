"""The picture of the workflow: boxes for rules, arrows for files, laid out in layers.

A box stands one layer after the last of those it needs. Arrows that a longer way already implies
are left out, or the picture would be a tangle; an arrow over several layers goes through a free
place in each of them. Places inside a layer follow the mean place of the neighbours.

Source: Sugiyama, Tagawa and Toda (1981), Methods for Visual Understanding of Hierarchical Systems.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from distilro.delivery.svg import add, measure_text, start_picture
from distilro.errors import ExportError

_BOX_HEIGHT = 28.0
_SWEEPS = 8

Edge = tuple[str, str]
Place = tuple[float, float]


@dataclass(frozen=True)
class Flow:
    """A graph without cycles: node id -> label, and edges (from, to) between ids."""

    labels: Mapping[str, str]
    edges: Sequence[Edge]


def draw_flow(flow: Flow, *, upright: bool) -> Element:
    """Draw the graph from left to right, or from top to bottom where `upright`."""
    edges = drop_implied_edges(flow)
    layers, links = _lay_out(flow, edges)
    width = max(measure_text(label) for label in flow.labels.values()) + 22
    along, across = (58.0, width + 12) if upright else (width + 34, _BOX_HEIGHT + 16)
    places = _place_nodes(layers, along, across)
    if upright:
        places = {node: (y, x) for node, (x, y) in places.items()}
    half = width / 2
    right = max(x for x, _ in places.values()) + half + 8
    bottom = max(y for _, y in places.values()) + _BOX_HEIGHT / 2 + 8
    places = {node: (x + half + 8, y + _BOX_HEIGHT / 2 + 8) for node, (x, y) in places.items()}
    picture = start_picture(right + half + 8, bottom + _BOX_HEIGHT / 2 + 8, "The workflow's rules")
    for chain in links:
        _draw_arrow(picture, [places[node] for node in chain], half, upright=upright)
    for node, label in flow.labels.items():
        _draw_box(picture, label, places[node], half)
    return picture


def rank_nodes(flow: Flow) -> dict[str, int]:
    """Return each node's layer: the length of the longest way to it; ExportError on a cycle."""
    before = _group_edges((end, start) for start, end in flow.edges)
    ranks: dict[str, int] = {}
    while len(ranks) < len(flow.labels):
        ready = [
            node
            for node in flow.labels
            if node not in ranks and all(other in ranks for other in before.get(node, ()))
        ]
        if not ready:
            left = sorted(set(flow.labels) - set(ranks))
            raise ExportError(
                f"The rule graph has a cycle, or an edge from an unknown node, among {left}; "
                "expected nodes and edges of a workflow. Make the graph file again."
            )
        for node in ready:
            ranks[node] = max((ranks[other] + 1 for other in before.get(node, ())), default=0)
    return ranks


def drop_implied_edges(flow: Flow) -> list[Edge]:
    """Return the edges without those that a longer way implies (the transitive reduction).

    >>> drop_implied_edges(Flow(dict.fromkeys("abc", ""), [("a", "b"), ("b", "c"), ("a", "c")]))
    [('a', 'b'), ('b', 'c')]
    """
    ranks = rank_nodes(flow)
    after = _group_edges(flow.edges)
    reached: dict[str, set[str]] = {}
    for node in sorted(flow.labels, key=lambda name: -ranks[name]):
        ends = after.get(node, [])
        reached[node] = set(ends).union(*(reached[end] for end in ends))
    return [
        (start, end)
        for start, end in dict.fromkeys(flow.edges)
        if not any(end in reached[other] for other in after[start])
    ]


def _lay_out(flow: Flow, edges: Sequence[Edge]) -> tuple[list[list[str]], list[list[str]]]:
    """Return the layers of nodes, in order, and each edge as its chain of nodes."""
    ranks = _pull_late(flow, edges, rank_nodes(flow))
    layers: list[list[str]] = [[] for _ in range(max(ranks.values()) + 1)]
    for node in flow.labels:
        layers[ranks[node]].append(node)
    links = []
    for start, end in edges:
        chain = [start]
        for layer in range(ranks[start] + 1, ranks[end]):
            chain.append(f"{start}\0{end}\0{layer}")  # a free place, not a node
            layers[layer].append(chain[-1])
        links.append([*chain, end])
    _order_layers(layers, links)
    return layers, links


def _pull_late(flow: Flow, edges: Sequence[Edge], ranks: dict[str, int]) -> dict[str, int]:
    """Move each node that needs nothing right before the first that needs it."""
    after = _group_edges(edges)
    needy = {end for _, end in edges}
    late = dict(ranks)
    for node in flow.labels:
        if node not in needy and after.get(node):
            late[node] = min(ranks[end] for end in after[node]) - 1
    return late


def _order_layers(layers: list[list[str]], links: Sequence[Sequence[str]]) -> None:
    pairs = [(a, b) for chain in links for a, b in zip(chain, chain[1:], strict=False)]
    ahead, back = _group_edges(pairs), _group_edges((b, a) for a, b in pairs)
    for sweep in range(_SWEEPS):
        neighbours = back if sweep % 2 == 0 else ahead
        place = {node: i - len(row) / 2 for row in layers for i, node in enumerate(row)}
        for row in layers if sweep % 2 == 0 else reversed(layers):
            means = {node: _mean([place[n] for n in neighbours.get(node, [])], place[node])
                     for node in row}  # fmt: skip
            row.sort(key=lambda node: means[node])  # noqa: B023 - used at once
            place.update((node, i - len(row) / 2) for i, node in enumerate(row))


def _place_nodes(layers: Sequence[Sequence[str]], along: float, across: float) -> dict[str, Place]:
    most = max(len(row) for row in layers)
    return {
        node: (layer * along, (index + (most - len(row)) / 2) * across)
        for layer, row in enumerate(layers)
        for index, node in enumerate(row)
    }


def _draw_box(picture: Element, label: str, place: Place, half: float) -> None:
    x, y = place
    add(picture, "rect", x=x - half, y=y - _BOX_HEIGHT / 2, width=2 * half, height=_BOX_HEIGHT,
        rx=6, class_="box")  # fmt: skip
    add(picture, "text", label, x=x, y=y + 4, text_anchor="middle")


def _draw_arrow(picture: Element, way: Sequence[Place], half: float, *, upright: bool) -> None:
    reach = _BOX_HEIGHT / 2 if upright else half
    step = (0.0, reach) if upright else (reach, 0.0)
    start = (way[0][0] + step[0], way[0][1] + step[1])
    tip = (way[-1][0] - step[0], way[-1][1] - step[1])
    end = (tip[0], tip[1] - 6) if upright else (tip[0] - 6, tip[1])
    points = [start]
    for x, y in way[1:-1]:  # straight past the boxes of a layer, bent only between layers
        points += [(x - step[0], y - step[1]), (x + step[0], y + step[1])]
    path = f"M{start[0]:.1f} {start[1]:.1f}"
    for (x1, y1), (x2, y2) in zip(points, [*points[1:], end], strict=True):
        mx, my = (x1 + x2) / 2, (y1 + y2) / 2
        bend = (f"{x1:.1f} {my:.1f} {x2:.1f} {my:.1f}" if upright
                else f"{mx:.1f} {y1:.1f} {mx:.1f} {y2:.1f}")  # fmt: skip
        path += f"C{bend} {x2:.1f} {y2:.1f}"
    add(picture, "path", d=path, class_="arrow")
    (x, y), d = tip, 4
    corners = ((x, y), (x - d, y - 7), (x + d, y - 7)) if upright else (
        (x, y), (x - 7, y - d), (x - 7, y + d))  # fmt: skip
    add(picture, "polygon", points=" ".join(f"{a:.1f},{b:.1f}" for a, b in corners), class_="tip")


def _group_edges(edges: Iterable[Edge]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for start, end in edges:
        groups.setdefault(start, []).append(end)
    return groups


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
