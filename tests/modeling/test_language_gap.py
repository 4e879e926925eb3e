import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distilro.errors import DataError
from distilro.modeling import language_gap
from distilro.modeling.critic import Critic
from distilro.modeling.language_gap import _bound_slope, _list_linear, measure_gap

QUICK = {"steps": 60, "hidden": 16}


def make_gaussians(shift, *, texts=600, width=16, seed=0):
    """Return two clouds whose centres are `shift` apart along every axis."""
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(2, texts, width)).astype(np.float32)
    return source + np.float32(shift), target


def test_like_languages_have_no_gap():
    gaps = [measure_gap(*make_gaussians(0.0, seed=seed), seed=seed) for seed in range(2)]
    assert np.abs(gaps).max() < 0.06


@pytest.mark.parametrize("shift", [0.5, 1.0, 4.0])
def test_the_gap_of_shifted_gaussians_is_their_wasserstein_distance(shift):
    """Along each axis the languages lie half a shift from the joint mean, so its variance is
    1 + shift ** 2 / 4; in that unit one language is the other, moved by the root of all shifts.
    """
    gap = measure_gap(*make_gaussians(shift), seed=0)
    assert gap == pytest.approx(shift / np.sqrt(1 + shift**2 / 4), rel=0.1)


@pytest.mark.parametrize("texts", [8, 80])
def test_two_points_are_2_apart_however_many_texts_lie_there(texts):
    """All of the variance is between them: each lies at distance 1 from the centre of both."""
    source, target = np.ones((texts, 3), np.float32), np.zeros((8, 3), np.float32)
    assert measure_gap(source, target, seed=0) == pytest.approx(2.0, abs=0.02)


@pytest.mark.parametrize("steps", [1, 3, 30])
def test_no_gap_is_above_the_distance_however_short_the_critic_learned(steps):
    """Its slope is at most 1, whatever the norms were estimated to be while it learned."""
    source, target = np.ones((8, 3), np.float32), np.zeros((8, 3), np.float32)
    gaps = [measure_gap(source, target, seed=seed, steps=steps, hidden=64) for seed in range(5)]
    assert max(gaps) <= 2.0 + 1e-5


def test_the_bound_of_a_slope_is_the_product_of_the_layers_steepest():
    critic = Critic(2, 2)
    with torch.no_grad():
        for layer, values in zip(_list_linear(critic), ([3, 1], [1, 5]), strict=False):
            layer.weight.copy_(torch.diag(torch.tensor(values)))
        critic.layers[-1].weight.copy_(torch.tensor([[0.6, 0.8]]))
        assert float(_bound_slope(critic)) == pytest.approx(3 * 5 * 1)


def test_a_gap_is_divided_by_the_bound_of_the_slope(monkeypatch):
    features = make_gaussians(1.0)
    gap = measure_gap(*features, seed=0, **QUICK)
    exact = language_gap._bound_slope
    monkeypatch.setattr(language_gap, "_bound_slope", lambda critic: 4 * exact(critic))
    assert measure_gap(*features, seed=0, **QUICK) == pytest.approx(gap / 4)


def test_the_gap_is_of_texts_that_the_critic_did_not_learn_from():
    """With more axes than texts anything can be told apart where it was learned."""
    gap = measure_gap(*make_gaussians(0.0, texts=40, width=200), seed=0)
    assert abs(gap) < 0.1


@given(
    scale=st.floats(0.01, 100),
    offset=st.floats(-10, 10),
    axis=st.integers(0, 15),
)
@settings(max_examples=8)
def test_the_unit_of_an_axis_does_not_matter(scale, offset, axis):
    source, target = make_gaussians(1.0, texts=100)
    expected = measure_gap(source, target, seed=0, **QUICK)
    for part in (source, target):
        part[:, axis] = part[:, axis] * np.float32(scale) + np.float32(offset)
    assert measure_gap(source, target, seed=0, **QUICK) == pytest.approx(expected, abs=1e-3)


def test_an_axis_that_never_changes_tells_nothing():
    source, target = make_gaussians(1.0)
    source[:, 3] = target[:, 3] = 7.0
    assert np.isfinite(measure_gap(source, target, seed=0, **QUICK))
    same = np.ones((8, 3), np.float32)
    assert measure_gap(same, same, seed=0, **QUICK) == pytest.approx(0.0, abs=1e-6)


def test_features_that_are_constant_but_for_rounding_have_no_gap():
    """A collapsed model: the rounding differs with the lengths of texts, and so by language."""
    texts = np.ones((2, 300, 16), np.float32)
    texts[0] += np.float32(2e-7)
    assert measure_gap(*texts, seed=0, **QUICK) == pytest.approx(0.0, abs=1e-3)


def test_the_gap_depends_on_its_arguments_alone():
    source, target = make_gaussians(1.0)
    before = (source.copy(), target.copy())
    torch.manual_seed(0)
    gap = measure_gap(source, target, seed=0, **QUICK)
    drawn = torch.rand(2)
    torch.manual_seed(5)
    assert measure_gap(source, target, seed=0, **QUICK) == gap
    assert measure_gap(source, target, seed=1, **QUICK) != gap
    torch.manual_seed(0)
    assert torch.equal(torch.rand(2), drawn)  # and it left the global random numbers alone
    assert np.array_equal(source, before[0])
    assert np.array_equal(target, before[1])


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        (np.zeros((8, 3)), np.zeros((8, 4)), "expected .N, H. and .M, H., got .8, 3. and .8, 4."),
        (np.zeros(8), np.zeros((8, 3)), "expected .N, H. and .M, H."),
        (np.zeros((8, 3)), np.zeros((3, 3)), "got 8 and 3"),
        (np.zeros((8, 3)), np.full((8, 3), np.nan), "expected finite numbers"),
    ],
)
def test_features_that_cannot_be_measured_are_refused(source, target, said):
    with pytest.raises(DataError, match=said):
        measure_gap(source, target, seed=0)
