"""Weights: what is written of a module, and what rounding to float16 costs."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from distilro.errors import ExportError
from distilro.modeling.encoders import build_masked_model
from distilro.modeling.weights import collect_weights, halve_weights, write_tensors
from tests.modeling.tiny import SCRATCH, build_tokenizer

LARGEST = 65504.0


def halve(value: float) -> float:
    return halve_weights({"weight": torch.tensor([value])})["weight"].item()


@pytest.mark.parametrize(
    ("weight", "rounded"),
    [
        (1.0, 1.0),
        (LARGEST, LARGEST),
        (-LARGEST, -LARGEST),
        (1 + 2**-11, 1.0),  # ties go to the even neighbour
        (1 + 3 * 2**-11, 1 + 2**-9),
        (2**-24, 2**-24),
        (2**-26, 0.0),
    ],
)
def test_weights_are_rounded_to_the_nearest_half(weight: float, rounded: float):
    assert halve(weight) == rounded


@given(st.floats(-LARGEST, LARGEST, width=32))
def test_rounding_costs_no_more_than_promised(weight: float):
    assert abs(halve(weight) - weight) <= max(abs(weight) / 2048, 3e-8)


@pytest.mark.parametrize("weight", [65505.0, -65505.0, 1e30, math.inf, -math.inf, math.nan])
def test_a_weight_beyond_float16_is_refused(weight: float):
    with pytest.raises(ExportError, match=r"weight: expected weights from -65504 to 65504"):
        halve(weight)


def test_whole_numbers_stay_as_they_are():
    numbers = torch.tensor([70_000, -1])
    assert torch.equal(halve_weights({"numbers": numbers})["numbers"], numbers)


def test_a_module_of_ours_is_collected_whole():
    module = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    weights = collect_weights(module)
    assert list(weights) == list(module.state_dict())
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in weights.items())


def test_tied_weights_are_collected_once_and_untied_ones_twice():
    model = build_masked_model(SCRATCH, build_tokenizer(), 1)
    copies = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    assert set(model.state_dict()) - set(collect_weights(model)) == copies
    weight = model.get_input_embeddings().weight
    model.get_output_embeddings().weight = nn.Parameter(weight.detach() + 1)
    assert set(model.state_dict()) - set(collect_weights(model)) == {"cls.predictions.decoder.bias"}


def test_what_is_written_comes_back_and_equal_tensors_are_equal_bytes(tmp_path: Path):
    tensors = {"b": torch.arange(3.0), "a": torch.ones(2, 2).half()}
    write_tensors(tmp_path / "first.safetensors", tensors)
    write_tensors(tmp_path / "second.safetensors", dict(reversed(tensors.items())))
    read = load_file(tmp_path / "first.safetensors")
    assert all(torch.equal(read[name], value) for name, value in tensors.items())
    first, second = (tmp_path / f"{name}.safetensors" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
