"""Masking: which tokens of a batch are hidden from the model, and behind what.

15 % of the tokens are chosen; of these 80 % become [MASK], 10 % another token, 10 % stay.
Source: Devlin et al. 2019, 3.1.
Axes: N texts, B texts of a batch, T tokens, M hidden positions, V tokens of the vocabulary.
"""

from typing import NamedTuple

import numpy as np
from transformers import PreTrainedTokenizerFast

from distilro.modeling.ragged import RaggedTokens

MASKED_SHARE = 0.15

_TO_MASK, _TO_OTHER = 0.8, 0.1


class Vocabulary(NamedTuple):
    """What masking must know of a tokenizer."""

    mask_id: int
    pad_id: int
    special: np.ndarray  # bool [V], never masked and never put in


class Masked(NamedTuple):
    """A batch with some tokens hidden."""

    ids: np.ndarray  # int64 [B, T], with the hidden tokens replaced
    places: np.ndarray  # int64 [M], into the flattened [B * T]
    targets: np.ndarray  # int64 [M], what stood there


def read_vocabulary(tokenizer: PreTrainedTokenizerFast) -> Vocabulary:
    """Return the ids that masking must know; placeholders count as ordinary tokens."""
    special = np.zeros(len(tokenizer), dtype=bool)
    special[tokenizer.all_special_ids] = True
    return Vocabulary(tokenizer.mask_token_id, tokenizer.pad_token_id, special)


def find_maskable(tokens: RaggedTokens, vocabulary: Vocabulary) -> np.ndarray:
    """Return the positions of texts with an ordinary token, int64, sorted.

    A text of unknown characters alone has none.
    """
    ordinary = np.concatenate([[0], np.cumsum(~vocabulary.special[tokens.ids])])
    return np.flatnonzero(np.diff(ordinary[tokens.offsets]))


def mask_tokens(
    ids: np.ndarray, mask: np.ndarray, vocabulary: Vocabulary, rng: np.random.Generator
) -> Masked:
    """Hide 15 % of the ordinary tokens of a batch, but one at least where there is one.

    Args:
        ids: int64 [B, T], padded.
        mask: int64 [B, T], 1 for tokens and 0 for padding.
        vocabulary: of the tokenizer.
        rng: the source of all randomness.
    """
    maskable = ((mask == 1) & ~vocabulary.special[ids]).reshape(-1)  # [B * T]
    draws = rng.random(maskable.size)
    draws[~maskable] = np.inf
    places = np.flatnonzero(draws < MASKED_SHARE)
    if places.size == 0 and maskable.any():
        places = np.array([np.argmin(draws)])
    hidden = ids.reshape(-1).copy()
    targets = hidden[places]
    kinds = rng.random(places.size)
    others = rng.choice(np.flatnonzero(~vocabulary.special), size=places.size)
    hidden[places] = np.where(
        kinds < _TO_MASK,
        vocabulary.mask_id,
        np.where(kinds < _TO_MASK + _TO_OTHER, others, targets),
    )
    return Masked(hidden.reshape(ids.shape), places, targets)
