"""Where the boxes of a graph stand: in layers, each after those it needs.

Arrows that close a circle are set aside as going back. Of the others those that a longer way
already implies are left out, or the picture would be a tangle; one over several layers goes
through a free place in each of them. Places inside a layer follow the mean place of the neighbours.

Source: Sugiyama, Tagawa and Toda (1981), Methods for Visual Understanding of Hierarchical Systems.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from distilro.errors import ExportError

_SWEEPS = 8

Edge = tuple[str, str]


@dataclass(frozen=True)
class Flow:
    """A graph: node id -> label, edges (from, to) between ids, and node id -> a few words."""

    labels: Mapping[str, str]
    edges: Sequence[Edge]
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """The nodes and free places of each layer in order, arrows as chains, and arrows back."""

    layers: Sequence[Sequence[str]]
    chains: Sequence[Sequence[str]]
    back: Sequence[Edge]


def lay_out(flow: Flow) -> Layout:
    """Return where everything stands; ExportError if an edge names a node that is not there."""
    edges, back = split_edges(flow)
    ranks = rank_nodes(flow.labels, edges)
    edges = drop_implied_edges(edges, ranks)
    ranks = _pull_late(ranks, edges)
    layers: list[list[str]] = [[] for _ in range(max(ranks.values()) + 1)]
    for node in flow.labels:
        layers[ranks[node]].append(node)
    chains = []
    for start, end in edges:
        free = [
            (f"{start}\0{end}\0{layer}", layer) for layer in range(ranks[start] + 1, ranks[end])
        ]
        for place, layer in free:
            layers[layer].append(place)
        chains.append([start, *(place for place, _ in free), end])
    _order_layers(layers, chains)
    return Layout(layers, chains, back)


def split_edges(flow: Flow) -> tuple[list[Edge], list[Edge]]:
    """Return the edges that go forward and those that close a circle, both in their order.

    >>> split_edges(Flow(dict.fromkeys("ab", ""), [("a", "b"), ("b", "a")]))
    ([('a', 'b')], [('b', 'a')])
    """
    unknown = sorted({node for edge in flow.edges for node in edge} - set(flow.labels))
    if unknown or not flow.labels:
        raise ExportError(
            f"The graph of rules has edges of nodes that are not there: {unknown}; expected one of "
            f"{sorted(flow.labels)}. Correct the file of the graph."
        )
    after = _group_edges(flow.edges)
    back: set[Edge] = set()
    done: set[str] = set()

    def visit(node: str, above: tuple[str, ...]) -> None:
        for end in after.get(node, ()):
            if end in (*above, node):
                back.add((node, end))
            elif end not in done:
                visit(end, (*above, node))
        done.add(node)

    for node in flow.labels:
        if node not in done:
            visit(node, ())
    edges = list(dict.fromkeys(flow.edges))
    return [edge for edge in edges if edge not in back], [edge for edge in edges if edge in back]


def rank_nodes(nodes: Iterable[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Return each node's layer, the length of the longest way to it; the edges hold no circle."""
    before = _group_edges((end, start) for start, end in edges)
    ranks: dict[str, int] = {}

    def rank(node: str) -> int:
        if node not in ranks:
            ranks[node] = max((rank(other) + 1 for other in before.get(node, ())), default=0)
        return ranks[node]

    return {node: rank(node) for node in nodes}


def drop_implied_edges(edges: Sequence[Edge], ranks: Mapping[str, int]) -> list[Edge]:
    """Return the edges without those that a longer way implies (the transitive reduction).

    >>> edges = [("a", "b"), ("b", "c"), ("a", "c")]
    >>> drop_implied_edges(edges, rank_nodes("abc", edges))
    [('a', 'b'), ('b', 'c')]
    """
    after = _group_edges(edges)
    reached: dict[str, set[str]] = {}
    for node in sorted(ranks, key=lambda name: -ranks[name]):
        ends = after.get(node, [])
        reached[node] = set(ends).union(*(reached[end] for end in ends))
    return [
        (start, end)
        for start, end in edges
        if not any(end in reached[other] for other in after[start])
    ]


def _pull_late(ranks: Mapping[str, int], edges: Sequence[Edge]) -> dict[str, int]:
    """Move each node that needs nothing right before the first that needs it."""
    after = _group_edges(edges)
    needy = {end for _, end in edges}
    return {
        node: rank if node in needy else min((ranks[e] - 1 for e in after.get(node, ())), default=0)
        for node, rank in ranks.items()
    }


def _order_layers(layers: list[list[str]], chains: Sequence[Sequence[str]]) -> None:
    pairs = [pair for chain in chains for pair in pairwise(chain)]
    ahead, back = _group_edges(pairs), _group_edges((end, start) for start, end in pairs)
    for sweep in range(_SWEEPS):
        neighbours = back if sweep % 2 == 0 else ahead
        places = {node: i - len(row) / 2 for row in layers for i, node in enumerate(row)}
        for row in layers if sweep % 2 == 0 else reversed(layers):
            means = {node: _mean_place(node, neighbours.get(node, ()), places) for node in row}
            row.sort(key=means.__getitem__)
            places.update((node, i - len(row) / 2) for i, node in enumerate(row))


def _mean_place(node: str, neighbours: Sequence[str], places: Mapping[str, float]) -> float:
    if not neighbours:
        return places[node]
    return sum(places[other] for other in neighbours) / len(neighbours)


def _group_edges(edges: Iterable[Edge]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for start, end in edges:
        groups.setdefault(start, []).append(end)
    return groups
