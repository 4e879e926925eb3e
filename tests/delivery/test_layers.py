import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.delivery.layers import Flow, drop_implied_edges, lay_out, rank_nodes, split_edges
from distilro.errors import ExportError

DIAMOND = Flow(
    dict(zip("abcd", "abcd", strict=True)),
    [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d")],
)
graphs = st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg")), max_size=20)


def test_a_diamond_has_three_layers_and_loses_the_arrow_that_skips():
    layout = lay_out(DIAMOND)
    assert [sorted(layer) for layer in layout.layers] == [["a"], ["b", "c"], ["d"]]
    assert ["a", "d"] not in layout.chains
    assert len(layout.chains) == 4


def test_a_model_that_teaches_another_is_an_arrow_back():
    flow = Flow(dict.fromkeys(["train", "logits"], ""), [("train", "logits"), ("logits", "train")])
    layout = lay_out(flow)
    assert layout.back == [("logits", "train")]
    assert [list(layer) for layer in layout.layers] == [["train"], ["logits"]]


def test_a_long_arrow_has_a_free_place_in_every_layer_that_it_passes():
    edges = [("a", "b"), ("b", "c"), ("c", "d"), ("a", "x"), ("x", "d")]
    layout = lay_out(Flow(dict.fromkeys("abcdx", ""), edges))
    (chain,) = [chain for chain in layout.chains if len(chain) > 2]
    for place, layer in zip(chain[1:-1], layout.layers[2:], strict=False):
        assert place in layer


@given(graphs)
def test_any_graph_is_laid_out_with_every_arrow_forward_or_back(edges):
    flow = Flow(dict.fromkeys("abcdefg", ""), edges)
    layout = lay_out(flow)
    depth = {node: i for i, layer in enumerate(layout.layers) for node in layer}
    assert set("abcdefg") <= set(depth)
    for chain in layout.chains:
        steps = [depth[node] for node in chain]
        assert steps == list(range(steps[0], steps[0] + len(steps)))
    assert {edge for edge in edges if edge[0] == edge[1]} <= set(layout.back)


@given(graphs)
def test_dropping_implied_arrows_keeps_what_each_node_reaches(edges):
    nodes = dict.fromkeys("abcdefg", "")
    forward, _ = split_edges(Flow(nodes, edges))
    kept = drop_implied_edges(forward, rank_nodes(nodes, forward))
    assert _reach(kept) == _reach(forward)


def test_an_arrow_of_an_unknown_rule_is_an_error_that_names_it():
    with pytest.raises(ExportError, match="nowhere"):
        lay_out(Flow({"a": "a"}, [("a", "nowhere")]))


def _reach(edges):
    reach = set(edges)
    while more := {(a, d) for a, b in reach for c, d in reach if b == c} - reach:
        reach |= more
    return reach
