"""Ragged tokens: padding, choosing and cutting into batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.modeling.ragged import RaggedTokens, cut_by_tokens


@pytest.fixture
def tokens():
    """Give the texts [1 2 3], [4] and [5 6]."""
    return RaggedTokens(np.arange(1, 7, dtype=np.int32), np.array([0, 3, 4, 6]))


def test_texts_are_padded_to_the_longest_of_the_batch(tokens):
    ids, mask = tokens.pad(np.array([2, 1]), 9)
    assert ids.tolist() == [[5, 6], [4, 9]]
    assert mask.tolist() == [[1, 1], [1, 0]]
    assert ids.dtype == mask.dtype == np.int64


def test_texts_can_be_chosen_in_any_order_and_twice(tokens):
    chosen = tokens.select(np.array([2, 0, 2]))
    assert chosen.ids.tolist() == [5, 6, 1, 2, 3, 5, 6]
    assert chosen.lengths.tolist() == [2, 3, 2]


@given(st.lists(st.lists(st.integers(0, 2), max_size=4), max_size=20))
def test_every_text_is_one_of_the_distinct_ones(texts):
    lengths = [len(text) for text in texts]
    ids = np.array([token for text in texts for token in text], dtype=np.int32)
    tokens = RaggedTokens(ids, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    first, which = tokens.find_distinct()
    assert [texts[row] for row in first[which]] == texts
    assert first.tolist() == sorted({texts.index(text) for text in texts})


def test_no_text_can_be_chosen(tokens):
    assert len(tokens.select(np.array([], dtype=np.int64))) == 0


@given(st.lists(st.integers(1, 40), max_size=50), st.integers(1, 100))
def test_every_text_is_in_one_batch_and_no_batch_is_over_the_budget(lengths, batch_tokens):
    lengths = np.array(lengths, dtype=np.int64)
    rows = np.argsort(lengths, kind="stable")
    batches = list(cut_by_tokens(rows, lengths, batch_tokens))
    assert [row for batch in batches for row in batch] == rows.tolist()
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= batch_tokens
