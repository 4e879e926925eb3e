import numpy as np
import pytest
import torch
from torch import nn

from distilro.modeling.dropout import drop
from distilro.modeling.features import pool_features
from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.token_batches import PackedBatch


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
