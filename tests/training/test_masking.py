"""Masking: which tokens are hidden, behind what, and what is left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.modeling.ragged import RaggedTokens
from distilro.training.masking import Vocabulary, find_maskable, mask_tokens, read_vocabulary
from tests.modeling.tiny import build_tokenizer

SPECIAL = 5
MASK = 4
VOCABULARY = Vocabulary(mask_id=MASK, pad_id=0, special=np.arange(100) < SPECIAL)


def draw_batch(seed: int, texts: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and mask of texts that begin with 2, end with 3 and are padded with 0."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, width + 1, size=texts)
    mask = np.arange(width)[None, :] < lengths[:, None]
    ids = np.where(mask, rng.integers(SPECIAL, 100, size=mask.shape), 0)
    ids[:, 0] = 2
    ids[np.arange(texts), lengths - 1] = 3
    return ids.astype(np.int64), mask.astype(np.int64)


@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(2, 12))
def test_only_ordinary_tokens_are_hidden_and_the_targets_are_what_stood_there(seed, texts, width):
    ids, mask = draw_batch(seed, texts, width)
    before = ids.copy()
    masked = mask_tokens(ids, mask, VOCABULARY, np.random.default_rng(seed))
    assert np.array_equal(ids, before)
    assert np.array_equal(masked.targets, ids.reshape(-1)[masked.places])
    assert (masked.targets >= SPECIAL).all()
    untouched = np.ones(ids.size, dtype=bool)
    untouched[masked.places] = False
    assert np.array_equal(masked.ids.reshape(-1)[untouched], ids.reshape(-1)[untouched])
    put_in = masked.ids.reshape(-1)[masked.places]
    assert ((put_in >= SPECIAL) | (put_in == MASK)).all()


@given(st.integers(0, 2**32))
def test_a_text_of_one_ordinary_token_has_it_hidden(seed):
    ids = np.array([[2, 50, 3]])
    masked = mask_tokens(ids, np.ones_like(ids), VOCABULARY, np.random.default_rng(seed))
    assert masked.places.tolist() == [1]


def test_the_shares_are_fifteen_percent_and_eighty_ten_ten():
    ids, mask = draw_batch(1, 4000, 60)
    masked = mask_tokens(ids, mask, VOCABULARY, np.random.default_rng(1))
    put_in = masked.ids.reshape(-1)[masked.places]
    hidden, kept = put_in == MASK, put_in == masked.targets
    assert len(masked.places) / (ids >= SPECIAL).sum() == pytest.approx(0.15, abs=0.005)
    assert hidden.mean() == pytest.approx(0.8, abs=0.01)
    assert (~hidden & ~kept).mean() == pytest.approx(0.1, abs=0.01)


def test_the_same_random_numbers_hide_the_same_tokens():
    ids, mask = draw_batch(1, 5, 20)
    first, second = (mask_tokens(ids, mask, VOCABULARY, np.random.default_rng(7)) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_special_tokens_are_told_from_placeholders():
    tokenizer = build_tokenizer()
    vocabulary = read_vocabulary(tokenizer)
    assert vocabulary.special[: len(tokenizer.all_special_ids)].all()
    assert vocabulary.special.sum() == 5
    assert vocabulary.mask_id == tokenizer.convert_tokens_to_ids("[MASK]")


def test_texts_of_special_tokens_alone_are_found():
    tokens = RaggedTokens(np.array([2, 3, 2, 9, 3, 2, 1, 3], np.int32), np.array([0, 2, 5, 8]))
    assert find_maskable(tokens, VOCABULARY).tolist() == [1]
