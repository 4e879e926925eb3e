"""Padded and packed batches: the same texts, and one vector of each."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distilro.modeling.ragged import RaggedTokens
from distilro.modeling.token_batches import PackedBatch, PaddedBatch, pack_batch, pad_batch

PADDED = PaddedBatch(
    ids=torch.zeros(6, dtype=torch.int32),
    positions=torch.zeros(6, dtype=torch.int32),
    mask=torch.tensor([[True, True, False], [True, True, True]]),
    whole=False,
)
PACKED = PackedBatch(
    ids=torch.zeros(5, dtype=torch.int32),
    positions=torch.tensor([0, 1, 0, 1, 2], dtype=torch.int32),
    offsets=torch.tensor([0, 2, 5], dtype=torch.int32),
    longest=3,
)
FIRST, SECOND = [[1.0, 2.0], [3.0, 6.0]], [[0.0, 3.0], [3.0, 0.0], [6.0, 3.0]]


@pytest.mark.parametrize(
    ("batch", "states"),
    [(PADDED, [*FIRST, [99.0, 99.0], *SECOND]), (PACKED, [*FIRST, *SECOND])],
)
def test_the_mean_is_taken_over_tokens_and_not_over_padding(batch, states):
    """(1 + 3) / 2 = 2 and (2 + 6) / 2 = 4; the padding's 99 does not count."""
    assert batch.average(torch.tensor(states)).tolist() == [[2.0, 4.0], [3.0, 2.0]]
    assert batch.take_first(torch.tensor(states)).tolist() == [[1.0, 2.0], [0.0, 3.0]]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(0, 5))
def test_both_hold_the_same_tokens_at_the_same_positions(lengths, seed):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = RaggedTokens(np.arange(1, offsets[-1] + 1, dtype=np.int32), offsets)
    rows = np.random.default_rng(seed).permutation(len(lengths))
    padded, packed = pad_batch(tokens, rows, 0), pack_batch(tokens, rows)
    inside = padded.mask.reshape(-1)
    assert torch.equal(padded.ids[inside], packed.ids)
    assert torch.equal(padded.positions[inside], packed.positions)
    assert torch.equal(inside.nonzero()[:, 0], packed.padded_places)
    assert padded.whole == bool(padded.mask.all())
    assert padded.longest == packed.longest == max(lengths)
