"""Finding passages of running text that share their words with a validation or test row.

Passages and rows differ in length, so that one inside the other goes unseen by a comparison of
whole texts. A passage is refused where the words of a row stand in it one after the other, or its
own in a row; and a passage that is about as long as a row is refused where their word sets are
alike, as the audit of training rows has it. Words are those of `distilro.text.key`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from distilro.corpora.near_duplicates import build_word_sets, find_similar_sets
from distilro.text import key

LEAST_WORDS = 5  # shorter rows ("I am so happy") stand everywhere and give nothing away
# subtle: of a passage inside a row, which may be an article: there shorter phrases are everybody's.
LEAST_WORDS_INSIDE = 8


def find_touched(passages: Sequence[str], rows: Iterable[str], *, jaccard: float) -> dict[int, str]:
    """Return the positions of passages that touch a row: "contains" one, is "inside" or "near" one.

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
    containing = (holder for holder, _ in _find_held(keys, row_keys, LEAST_WORDS))
    inside = (held for _, held in _find_held(row_keys, keys, LEAST_WORDS_INSIDE))
    touched = {
        **dict.fromkeys(_find_near(keys, row_keys, jaccard).tolist(), "near"),
        **dict.fromkeys(inside, "inside"),
        **dict.fromkeys(containing, "contains"),
    }
    return dict(sorted(touched.items()))


def _find_held(
    holders: Sequence[str], held: Sequence[str], least_words: int
) -> Iterator[tuple[int, int]]:
    """Return pairs (holder, held) in which the held one's words stand in the holder in a row.

    Args:
        holders: keys to search through.
        held: keys to look for; those of fewer than `least_words` words are left out.
        least_words: what they are indexed by.
    """
    by_start: dict[tuple[str, ...], list[tuple[int, list[str]]]] = defaultdict(list)
    for position, words in enumerate(text.split() for text in held):
        if len(words) >= least_words:
            by_start[tuple(words[:least_words])].append((position, words))
    for holder, words in enumerate(text.split() for text in holders):
        for start in range(len(words) - least_words + 1):
            for position, looked_for in by_start.get(tuple(words[start : start + least_words]), ()):
                if words[start : start + len(looked_for)] == looked_for:
                    yield holder, position


def _find_near(keys: Sequence[str], row_keys: Sequence[str], jaccard: float) -> np.ndarray:
    """Return the positions of keys whose word set is like that of a row, int64, sorted."""
    pairs = find_similar_sets(build_word_sets([*keys, *row_keys]), jaccard=jaccard)
    across = (pairs.left < len(keys)) & (pairs.right >= len(keys))
    return np.unique(pairs.left[across])
