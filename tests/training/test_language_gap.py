import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from distilro.errors import DataError
from distilro.modeling.critic import Critic
from distilro.modeling.dropout import drop
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.token_batches import PackedBatch
from distilro.training import language_gap
from distilro.training.language_gap import (
    _bound_slope,
    _list_linear,
    measure_gap,
    pool_features,
)

QUICK = {"steps": 60, "hidden": 16}


class WordVectors(nn.Module):
    """A stub of a classifier: the mean of a text's word vectors."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 6)
        self.batches = []

    def pool_texts(self, batch, precision="fp32"):
        self.batches.append((batch, precision, self.training))
        return drop(batch.average(self.words(batch.ids)), 0.5 * self.training)


def make_tokens(texts=30, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, size=texts)
    ids = rng.integers(1, 20, size=lengths.sum()).astype(np.int32)
    return RaggedTokens(ids, np.concatenate([[0], np.cumsum(lengths)]))


def make_gaussians(shift, *, texts=600, width=16, seed=0):
    """Return two clouds whose centres are `shift` apart along every axis."""
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(2, texts, width)).astype(np.float32)
    return source + np.float32(shift), target


def test_features_are_each_texts_own_in_order():
    classifier, tokens = WordVectors(), make_tokens()
    features = pool_features(classifier, tokens, pad_id=0, batch_tokens=40)
    assert features.shape == (30, 6)
    assert len(classifier.batches) > 1
    for row in range(30):
        ids = tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]]
        expected = classifier.words.weight[torch.from_numpy(ids).long()].mean(dim=0)
        torch.testing.assert_close(features[row], expected)


def test_packed_and_padded_texts_give_the_same_features():
    classifier, tokens = WordVectors(), make_tokens()
    padded = pool_features(classifier, tokens, pad_id=0)
    packed = pool_features(classifier, tokens, pad_id=0, packed=True)
    assert isinstance(classifier.batches[-1][0], PackedBatch)
    torch.testing.assert_close(padded, packed)


@pytest.mark.parametrize("mode", [True, False])
def test_features_are_frozen_and_the_mode_is_put_back(mode):
    classifier = WordVectors().train(mode)
    features = pool_features(classifier, make_tokens(), pad_id=0, precision="bf16")
    assert classifier.training is mode
    assert not features.requires_grad
    assert not features.is_inference()  # or a critic could not learn from them
    assert {seen[1:] for seen in classifier.batches} == {("bf16", False)}


def test_no_batch_holds_more_tokens_than_allowed():
    classifier = WordVectors()
    pool_features(classifier, make_tokens(), pad_id=0, batch_tokens=24)
    assert max(len(batch.ids) for batch, *_ in classifier.batches) <= 24


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
