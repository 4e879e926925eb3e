import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distilro.corpora import near_duplicates
from distilro.corpora.near_duplicates import build_word_sets, find_similar_sets
from distilro.errors import SettingsError

# Few words, so that sets overlap often, at every size and in every degree.
TEXTS = st.lists(st.lists(st.sampled_from("abcdefghijkl"), max_size=14).map(" ".join), max_size=40)
THRESHOLDS = st.sampled_from([0.05, 0.2, 0.3, 1 / 3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0])


def compare_all(texts, jaccard):
    sets = [set(text.split()) for text in texts]
    return [
        (one, other, len(sets[one] & sets[other]) / len(sets[one] | sets[other]))
        for one, other in combinations(range(len(texts)), 2)
        if sets[one] & sets[other]
        and len(sets[one] & sets[other]) / len(sets[one] | sets[other]) >= jaccard
    ]


def join(texts, jaccard):
    found = find_similar_sets(build_word_sets(texts), jaccard=jaccard)
    return list(zip(*(column.tolist() for column in vars(found).values()), strict=True))


def test_three_of_five_words_are_a_pair_at_exactly_that_threshold():
    # {a b c d} and {b c d e}: 3 shared of 5 in all = 0.6; {a x}: 1 of 5 and 0 of 6.
    assert join(["a b c d", "b c d e", "a x"], 0.6) == [(0, 1, 0.6)]
    assert join(["a b c d", "b c d e", "a x"], 0.61) == []


def test_order_and_repeats_of_words_do_not_count():
    assert join(["a b c", "c b a b"], 1.0) == [(0, 1, 1.0)]


def test_a_single_word_is_similar_to_itself_only():
    assert join(["recomand", "recomand mult", "recomand"], 0.6) == [(0, 2, 1.0)]


def test_empty_texts_are_similar_to_nothing():
    assert join(["", "", "a"], 0.1) == []
    assert join([], 0.6) == []


@given(TEXTS, THRESHOLDS)
@settings(max_examples=400)
def test_join_equals_brute_force(texts, jaccard):
    assert join(texts, jaccard) == compare_all(texts, jaccard)


@given(TEXTS, THRESHOLDS, st.integers(1, 50))
def test_the_size_of_the_steps_does_not_change_the_answer(texts, jaccard, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "_CHUNK_POSTINGS", size)
        patch.setattr(near_duplicates, "_TABLE_CELLS", size)
        assert join(texts, jaccard) == compare_all(texts, jaccard)


def test_join_equals_brute_force_on_texts_with_a_long_tail_of_words():
    rng = np.random.default_rng(0)
    texts = [
        " ".join(f"w{rank}" for rank in rng.zipf(1.3, rng.integers(1, 60)) if rank < 5000)
        for _ in range(400)
    ]
    texts += [" ".join(text.split()[1:]) for text in texts[:200]]  # near copies
    assert len(join(texts, 0.6)) > 150
    assert join(texts, 0.6) == compare_all(texts, 0.6)


def test_twenty_thousand_texts_take_seconds_not_a_quadratic_time():
    rng = np.random.default_rng(1)
    words = rng.zipf(1.2, (20_000, 20))
    texts = [" ".join(f"w{rank}" for rank in row if rank < 1_000_000) for row in words]
    start = time.perf_counter()
    join(texts, 0.6)
    assert time.perf_counter() - start < 30


def test_one_text_of_a_hundred_thousand_words_is_no_trouble():
    long = " ".join(f"w{rank}" for rank in range(100_000))
    assert join([long, long + " x", "w1 w2"], 0.6) == [(0, 1, 100_000 / 100_001)]


@pytest.mark.parametrize("jaccard", [0, -1, 1.01])
def test_a_threshold_outside_its_range_is_refused(jaccard):
    with pytest.raises(SettingsError, match="jaccard"):
        join(["a"], jaccard)
