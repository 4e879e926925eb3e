"""Near duplicates: an exact word-set Jaccard join that never compares all pairs.

Texts become sets of words. Words are ranked from rare to frequent; two sets as similar as asked
must share a word among their rarest few (the prefix), must be of similar size (the length filter)
and must meet early enough in both (the positional filter). Only pairs that pass are compared, so
that the answer is the brute-force answer in a fraction of its time. Not done here: what a pair
means (audit.py), and texts in other words or another language, which share no words.

Source: Xiao, Wang, Lin, Yu, "Efficient Similarity Joins for Near Duplicate Detection" (PPJoin),
WWW 2008, sections 3 and 4.
Axes: N sets, W distinct words, P postings.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from distilro.errors import SettingsError
from distilro.progress import show_progress

# Postings looked at in one go: bounds the memory of a step to some hundred megabytes.
_CHUNK_POSTINGS = 2_000_000
# Cells of the membership table of one verification step (one byte each).
_TABLE_CELLS = 16_000_000
# A product such as 0.7 * 10 may come out a hair above the integer that it is.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class WordSets:
    """N sets of words, end to end: set i is `ranks[offsets[i]:offsets[i + 1]]`, ascending.

    A word's rank is its place from the rarest (0) to the most frequent (W - 1).
    """

    ranks: np.ndarray  # int32 [sum of sizes]
    offsets: np.ndarray  # int64 [N + 1]

    def __len__(self) -> int:
        """Return N."""
        return len(self.offsets) - 1

    @property
    def sizes(self) -> np.ndarray:
        """Return the number of words of each set, int64 [N]."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class SimilarPairs:
    """Pairs of sets (`left[k]` < `right[k]`) and their Jaccard similarity, in ascending order."""

    left: np.ndarray  # int64 [K]
    right: np.ndarray  # int64 [K]
    jaccard: np.ndarray  # float64 [K]


def build_word_sets(keys: Sequence[str]) -> WordSets:
    """Turn comparison forms (words joined by spaces, see `text.key`) into word sets.

    >>> build_word_sets(["a b a", "b"]).ranks.tolist()  # `a` is in fewer texts than `b`
    [0, 1, 1]
    """
    words = [sorted(set(key.split())) for key in keys]
    frequency = Counter(word for row in words for word in row)
    # Ties are broken by the word, so that ranks do not depend on the order of the texts.
    ranked = sorted(frequency, key=lambda word: (frequency[word], word))
    rank = {word: place for place, word in enumerate(ranked)}
    sizes = np.array([len(row) for row in words], dtype=np.int64)
    flat = np.array([rank[word] for row in words for word in row], dtype=np.int64)
    owner = np.repeat(np.arange(len(words)), sizes)
    order = np.lexsort((flat, owner))
    return WordSets(flat[order].astype(np.int32), np.concatenate([[0], np.cumsum(sizes)]))


def find_similar_sets(sets: WordSets, *, jaccard: float) -> SimilarPairs:
    """Find every pair of sets with a Jaccard similarity of at least `jaccard`.

    Exact: no pair is missed or guessed. Empty sets are similar to nothing.

    Args:
        sets: the N sets.
        jaccard: the least similarity, in (0, 1].

    Raises:
        SettingsError: if `jaccard` is outside (0, 1].
    """
    if not 0 < jaccard <= 1:
        raise SettingsError(f"jaccard: expected a number in (0, 1], got {jaccard}.")
    index = _index_prefixes(sets, jaccard)
    found = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    with show_progress(len(sets), what="near duplicates", unit="text") as bar:
        for rows in _split_rows(sets, index, jaccard):
            left, right = _find_candidates(sets, index, rows, jaccard)
            found.append(_verify(sets, left, right, jaccard))
            bar.update(len(rows))
    left, right, similarity = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((right, left))
    return SimilarPairs(left[order], right[order], similarity[order])


@dataclass(frozen=True)
class _Index:
    """Where each word stands in the prefixes of the sets, by word and then by size of the set."""

    order: np.ndarray  # int64 [P], ascending: word * span + size
    span: int  # more than the largest size
    owner: np.ndarray  # int64 [P], the set
    place: np.ndarray  # int64 [P], the word's place in that set, from the rarest


def _list_prefixes(
    sets: WordSets, rows: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return set, place and word of the words one of which a match on `share` of a set must have.

    Of a set of n words, a match that has `share` * n of them has one of any n - share * n + 1.
    """
    sizes = sets.sizes[rows]
    shared = np.ceil(share * sizes - _ROUNDING).astype(np.int64)
    lengths = np.where(sizes > 0, sizes - np.maximum(shared, 1) + 1, 0)
    owner, place = np.repeat(rows, lengths), _count_within(lengths)
    return owner, place, sets.ranks[sets.offsets[owner] + place].astype(np.int64)


def _index_prefixes(sets: WordSets, jaccard: float) -> _Index:
    # Looked up from the larger set, so the indexed one shares 2j / (1 + j) of its words.
    share = 2 * jaccard / (1 + jaccard)
    owner, place, word = _list_prefixes(sets, np.arange(len(sets)), share)
    span = int(sets.sizes.max(initial=0)) + 2
    key = word * span + sets.sizes[owner]
    order = np.argsort(key, kind="stable")
    return _Index(key[order], span, owner[order], place[order])


def _find_postings(
    sets: WordSets, index: _Index, owner: np.ndarray, word: np.ndarray, jaccard: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return, for words of sets, the slice of the index with sets smaller but not too small."""
    sizes = sets.sizes[owner]
    least = np.ceil(jaccard * sizes - _ROUNDING).astype(np.int64)
    first = np.searchsorted(index.order, word * index.span + least, side="left")
    last = np.searchsorted(index.order, word * index.span + sizes, side="right")
    return first, last - first


def _split_rows(sets: WordSets, index: _Index, jaccard: float) -> Iterator[np.ndarray]:
    """Yield consecutive sets, as many at a time as meet about `_CHUNK_POSTINGS` postings."""
    rows = np.arange(len(sets))
    owner, _, word = _list_prefixes(sets, rows, jaccard)
    _, lengths = _find_postings(sets, index, owner, word, jaccard)
    met = np.bincount(owner, lengths, minlength=len(sets))  # [N]
    chunk = (np.cumsum(met) // _CHUNK_POSTINGS).astype(np.int64)
    yield from np.split(rows, np.flatnonzero(np.diff(chunk)) + 1)


def _find_candidates(
    sets: WordSets, index: _Index, rows: np.ndarray, jaccard: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs (left < right) of `rows` and smaller sets that pass the three filters."""
    owner, place, word = _list_prefixes(sets, rows, jaccard)
    first, lengths = _find_postings(sets, index, owner, word, jaccard)
    posting = np.repeat(first, lengths) + _count_within(lengths)
    one, other = np.repeat(owner, lengths), index.owner[posting]
    at_one, at_other = np.repeat(place, lengths), index.place[posting]
    size_one, size_other = sets.sizes[one], sets.sizes[other]
    # The shared words are at most all before this one, this one, and all after it.
    most = np.minimum(at_one, at_other) + np.minimum(size_one - at_one, size_other - at_other)
    keep = most >= jaccard / (1 + jaccard) * (size_one + size_other) - _ROUNDING
    # Sets of one size meet twice, once from each side.
    keep &= (size_other < size_one) | (other < one)
    # subtle: sorting is several times faster than np.unique, which hashes integers.
    pairs = np.sort(one[keep] * len(sets) + other[keep])
    one, other = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], len(sets))
    return np.minimum(one, other), np.maximum(one, other)


def _verify(
    sets: WordSets, left: np.ndarray, right: np.ndarray, jaccard: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the words each candidate pair shares; keep the similar pairs, with the similarity."""
    order = np.argsort(left, kind="stable")
    left, right = left[order], right[order]
    width = int(sets.ranks.max(initial=0)) + 1
    table = np.zeros((max(1, _TABLE_CELLS // width), width), dtype=bool)
    line = _number_runs(left) // len(table)  # as many left sets per block as the table has lines
    shared = [
        _count_shared(sets, left[block], right[block], table)
        for block in np.split(np.arange(len(left)), np.flatnonzero(np.diff(line)) + 1)
    ]
    both = sets.sizes[left] + sets.sizes[right]
    similarity = np.concatenate(shared) / (both - np.concatenate(shared))
    keep = similarity >= jaccard
    return left[keep], right[keep], similarity[keep]


def _count_shared(
    sets: WordSets, left: np.ndarray, right: np.ndarray, table: np.ndarray
) -> np.ndarray:
    """Return how many words each pair shares, int64; `left` ascends.

    `table`, bool [lines, W], is all False before and after: line i marks the i-th left set's words.
    """
    line = _number_runs(left)
    heads = np.flatnonzero(np.diff(line, prepend=-1))
    owner, word = _gather(sets, left[heads])
    table[owner, word] = True
    pair, other_word = _gather(sets, right)
    shared = np.bincount(pair, table[line[pair], other_word], minlength=len(right))
    table[owner, word] = False
    return shared.astype(np.int64)


def _gather(sets: WordSets, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the words of the sets `rows` end to end, each with its place in `rows`."""
    sizes = sets.sizes[rows]
    flat = np.repeat(sets.offsets[rows], sizes) + _count_within(sizes)
    return np.repeat(np.arange(len(rows)), sizes), sets.ranks[flat]


def _number_runs(values: np.ndarray) -> np.ndarray:
    """Number the runs of equal values from 0: [5, 5, 7] gives [0, 0, 1]."""
    return np.cumsum(np.diff(values, prepend=values[:1]) != 0)


def _count_within(lengths: np.ndarray) -> np.ndarray:
    """Return 0, 1, ... within each run: lengths [2, 3] give [0, 1, 0, 1, 2]."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)
