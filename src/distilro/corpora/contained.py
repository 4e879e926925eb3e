"""Finding passages of running text that hold a validation or test row, or nearly are one.

Running text is cut into passages that are longer than most rows, so that a row inside a passage
goes unseen by a comparison of whole texts. A passage is refused where the words of a row stand in
it one after the other; and a passage that is about as long as a row is refused where their word
sets are alike, as the audit of training rows has it. Words are those of `distilro.text.key`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from distilro.corpora.near_duplicates import build_word_sets, find_similar_sets
from distilro.text import key

LEAST_WORDS = 5  # shorter rows ("I am so happy") stand everywhere and give nothing away


def find_touched(passages: Sequence[str], rows: Iterable[str], *, jaccard: float) -> dict[int, str]:
    """Return the positions of passages that touch a row, with the reason: "contains" or "near".

    Args:
        passages: N texts.
        rows: the validation and test texts.
        jaccard: word-set Jaccard from which two texts are near duplicates.

    >>> find_touched(["și atunci a plouat tare toată noaptea", "nu"],
    ...     ["a plouat tare toată noaptea"], jaccard=0.9)
    {0: 'contains'}
    """
    keys = [key(passage) for passage in passages]
    row_keys = sorted({key(row) for row in rows})
    touched = dict.fromkeys(_find_containing(keys, row_keys), "contains")
    near = {position: "near" for position in _find_near(keys, row_keys, jaccard)}
    return {position: touched.get(position, "near") for position in sorted({**near, **touched})}


def _find_containing(keys: Sequence[str], row_keys: Sequence[str]) -> list[int]:
    by_start: dict[tuple[str, ...], list[list[str]]] = defaultdict(list)
    for row in (row_key.split() for row_key in row_keys):
        if len(row) >= LEAST_WORDS:
            by_start[tuple(row[:LEAST_WORDS])].append(row)
    return [
        position for position, words in enumerate(keys) if _contains_row(words.split(), by_start)
    ]


def _contains_row(words: list[str], by_start: dict[tuple[str, ...], list[list[str]]]) -> bool:
    for start in range(len(words) - LEAST_WORDS + 1):
        for row in by_start.get(tuple(words[start : start + LEAST_WORDS]), ()):
            if words[start : start + len(row)] == row:
                return True
    return False


def _find_near(keys: Sequence[str], row_keys: Sequence[str], jaccard: float) -> np.ndarray:
    """Return the positions of keys whose word set is like that of a row, int64, sorted."""
    pairs = find_similar_sets(build_word_sets([*keys, *row_keys]), jaccard=jaccard)
    across = (pairs.left < len(keys)) & (pairs.right >= len(keys))
    return np.unique(pairs.left[across])
