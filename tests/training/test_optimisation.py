import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from distilro.training.optimisation import (
    build_optimiser,
    scale_by_depth,
    scale_learning_rate,
    set_learning_rate,
)


def test_the_rate_rises_then_falls_linearly():
    factors = [scale_learning_rate(step, 10, 0.2) for step in range(10)]
    assert factors == pytest.approx([0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])


@given(st.integers(1, 2000), st.floats(0, 0.99))
def test_the_rate_is_always_above_zero_and_at_most_its_peak(total, share):
    factors = [scale_learning_rate(step, total, share) for step in range(total)]
    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == 1.0


def test_layers_learn_slower_the_deeper_they_lie():
    names = [
        "encoder.embeddings.word.weight",
        "encoder.layer.0.w",
        "encoder.layer.1.w",
        "heads.t.w",
    ]
    factors = [scale_by_depth(name, layers=2, layer_decay=0.9) for name in names]
    assert factors == pytest.approx([0.9**4, 0.9**3, 0.9**2, 1.0])


def test_norms_and_biases_are_not_decayed_and_every_parameter_is_in_one_group():
    model = nn.ModuleDict({"heads": nn.Linear(3, 2), "norm": nn.LayerNorm(3)})
    optimiser = build_optimiser(model, learning_rate=1e-3, weight_decay=0.01, layer_decay=1.0)
    grouped = [p for group in optimiser.param_groups for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters()}
    for group in optimiser.param_groups:
        decayed = {p.ndim > 1 for p in group["params"]}
        assert decayed == {group["weight_decay"] > 0}


def test_setting_the_rate_keeps_the_ratio_between_groups():
    model = nn.Module()
    model.encoder = nn.ModuleDict({"layer": nn.ModuleList([nn.Linear(2, 2)])})
    model.heads = nn.ModuleDict({"t": nn.Linear(2, 2)})
    optimiser = build_optimiser(model, learning_rate=1.0, weight_decay=0.0, layer_decay=0.5)
    set_learning_rate(optimiser, 0.1)
    assert sorted(group["lr"] for group in optimiser.param_groups) == pytest.approx([0.025, 0.1])
    assert isinstance(optimiser, torch.optim.AdamW)
