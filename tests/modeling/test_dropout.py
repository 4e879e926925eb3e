"""Dropout of eight bits: its rate, its scale, its gradient."""

import pytest
import torch

from distilro.modeling.dropout import drop, drop_and_add, round_rate

RATES = [0.1, 0.25, 0.5]


@pytest.mark.parametrize("rate", RATES)
def test_the_share_of_zeros_is_the_rate_and_the_mean_is_kept(rate):
    """Of 400,000 elements the share is within 5 standard deviations, at most 0.004."""
    torch.manual_seed(0)
    dropped = drop(torch.ones(400_000), rate)
    assert float((dropped == 0).float().mean()) == pytest.approx(round_rate(rate), abs=0.004)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.01)
    assert round_rate(rate) == pytest.approx(rate, abs=1 / 512)


def test_a_rate_of_zero_is_the_identity():
    values = torch.randn(7)
    assert drop(values, 0.0) is values
    assert torch.equal(drop_and_add(values, values, 0.0), 2 * values)


@pytest.mark.parametrize("size", [1, 7, 8, 9])
def test_any_number_of_elements_will_do(size):
    assert drop(torch.ones(size, 3), 0.5).shape == (size, 3)


@pytest.mark.parametrize("rate", RATES)
def test_with_a_residual_it_is_the_sum_of_both(rate):
    values, residual = torch.randn(50, 8), torch.randn(50, 8)
    torch.manual_seed(1)
    expected = drop(values, rate) + residual
    torch.manual_seed(1)
    torch.testing.assert_close(drop_and_add(values, residual, rate), expected)


def test_gradients_are_those_of_a_product_with_the_mask():
    values = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    residual = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)

    def with_fixed_masks(function):
        def call(*inputs):
            torch.manual_seed(3)
            return function(*inputs, 0.4)

        return call

    assert torch.autograd.gradcheck(with_fixed_masks(drop), (values,))
    assert torch.autograd.gradcheck(with_fixed_masks(drop_and_add), (values, residual))


def test_neighbouring_elements_are_dropped_independently():
    """Eight elements share a word of random bits; their masks must not."""
    torch.manual_seed(2)
    zeros = (drop(torch.ones(100_000, 8), 0.5) == 0).float()
    correlation = torch.corrcoef(zeros.T) - torch.eye(8)
    assert float(correlation.abs().max()) < 0.02
