"""Test rows in running text: found in whatever spelling, and no short row is taken for one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.corpora.contained import LEAST_WORDS, LEAST_WORDS_INSIDE, find_touched
from distilro.text import key

ROW = "Trenul a întârziat două ore, iar noi am așteptat în țară."
FILLER = "se spune prin sat de mult timp că ziua aceea a fost foarte lungă pentru toți oamenii"
WORDS = [f"cuv{number}" for number in range(12)]


def find(passages, rows, jaccard=0.9):
    return find_touched(passages, rows, jaccard=jaccard)


@pytest.mark.parametrize(
    "planted",
    [
        ROW,
        ROW.upper(),
        ROW.replace("ț", "ţ").replace("ș", "ş"),
        "Trenul a intarziat doua ore, iar noi am asteptat in tara",
        "trenul: a întârziat — „două” ore; iar noi... am așteptat (în țară)",
        "Trenul  a întârziat <user> două ore iar noi am\u00a0așteptat în țară",
    ],
)
@pytest.mark.parametrize("place", ["{} " + FILLER, FILLER + " {}", FILLER + " {} " + FILLER])
def test_a_planted_row_is_found_in_another_spelling_anywhere(planted, place):
    assert find([FILLER, place.format(planted)], [ROW]) == {1: "contains"}


@pytest.mark.parametrize(
    "other",
    [
        FILLER,
        FILLER + " Trenul a întârziat două ore, iar noi n-am așteptat în țară",
        FILLER + " Trenul a întârziat două ore, iar noi am așteptat în",
        FILLER + " În țară am așteptat noi, iar două ore a întârziat trenul",
        "",
        "!!!",
    ],
)
def test_a_passage_without_all_words_of_a_row_in_their_order_is_left_alone(other):
    assert find([other], [ROW]) == {}


def test_a_near_duplicate_is_found():
    assert find(["Trenul a întârziat trei ore, iar noi am așteptat în țară"], [ROW], 0.8) == {
        0: "near"
    }
    assert find(["Trenul a întârziat trei ore, iar noi am așteptat în țară"], [ROW], 0.9) == {}


def test_a_short_row_inside_a_passage_gives_nothing_away():
    short = "A fost foarte lungă"
    assert len(key(short).split()) == LEAST_WORDS - 1
    assert find([FILLER], [short]) == {}
    assert find([FILLER], ["Aceea a fost foarte lungă"]) == {0: "contains"}


def test_a_passage_that_is_a_short_row_as_a_whole_is_near_it():
    assert find(["Foarte lungă!", FILLER], ["foarte lunga"]) == {0: "near"}


@pytest.mark.parametrize("row", ["{} " + FILLER, FILLER + " {}", FILLER + " {} " + FILLER])
@pytest.mark.parametrize("passage", [ROW, ROW.upper(), ROW.replace("ț", "ţ").replace("ș", "ş")])
def test_a_passage_inside_a_longer_row_is_found(passage, row):
    assert find(["altceva", passage], [row.format(ROW)]) == {1: "inside"}


def test_a_short_passage_inside_a_row_is_everybodys():
    words = FILLER.split()
    assert find([" ".join(words[2 : 2 + LEAST_WORDS_INSIDE])], [FILLER]) == {0: "inside"}
    assert find([" ".join(words[2 : 1 + LEAST_WORDS_INSIDE])], [FILLER]) == {}


def test_passages_alike_among_themselves_touch_nothing():
    assert find([FILLER, FILLER], [ROW]) == {}


def test_rows_alike_among_themselves_touch_nothing():
    assert find([FILLER], [ROW, ROW.upper(), ROW + " iar"]) == {}


def test_no_passages_and_no_rows_are_no_matches():
    assert find([], [ROW]) == {}
    assert find([FILLER], []) == {}


def name_reason(passage, row, jaccard):
    """Return how a passage touches a row, both as words; "" where it does not."""
    if len(row) >= LEAST_WORDS and f" {' '.join(row)} " in f" {' '.join(passage)} ":
        return "contains"
    if len(passage) >= LEAST_WORDS_INSIDE and f" {' '.join(passage)} " in f" {' '.join(row)} ":
        return "inside"
    one, other = set(passage), set(row)
    alike = one and other and len(one & other) / len(one | other) >= jaccard - 1e-9
    return "near" if alike else ""


def find_by_force(passages, rows, jaccard):
    """Return the positions of passages that hold a row, stand in one, or have a set like its."""
    touched = {}
    for position, passage in enumerate(key(text).split() for text in passages):
        reasons = {name_reason(passage, key(text).split(), jaccard) for text in rows}
        for reason in ("near", "inside", "contains"):
            if reason in reasons:
                touched[position] = reason
    return touched


@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.75, 1.0]))
def test_it_is_what_comparing_all_with_all_finds(seed, jaccard):
    rng = np.random.default_rng(seed)

    def draw(count, least, most):
        sizes = rng.integers(least, most, count)
        return [" ".join(rng.choice(WORDS[:4], size)) for size in sizes]

    passages, rows = draw(12, 1, 20), draw(3, 1, 9) + draw(3, 12, 60)
    found = find(passages, rows, jaccard)
    assert found == find_by_force(passages, rows, jaccard)
    assert list(found) == sorted(found)


@given(st.permutations([ROW, FILLER, "una două trei patru cinci"]))
def test_the_order_of_rows_does_not_matter(rows):
    passages = [f"{FILLER} {ROW}", "una două trei patru cinci șase", "altceva"]
    assert find(passages, rows, 0.8) == {0: "contains", 1: "contains"}
