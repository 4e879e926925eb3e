from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.corpora.copies import PAIR_SCHEMA, find_pairs
from distilro.errors import DataError
from distilro.text import strip_diacritics
from tests.corpora.handmade import EMOTION, SENTIMENT, make_examples

SENTENCE = "Știrea zilei: țara întreagă așteaptă finala de mâine!"


def find(*parts, jaccard=0.6):
    return find_pairs(parts, jaccard=jaccard).to_pylist()


@pytest.mark.parametrize(
    "copy",
    [
        SENTENCE,
        SENTENCE.upper(),
        strip_diacritics(SENTENCE),
        "  știrea zilei — țara întreagă, așteaptă finala de mâine ",
        "Ştirea zilei: ţara întreagă așteaptă finala de mâine http://a.ro/b @cineva",
        f"<ent> {SENTENCE} <url>",
    ],
    ids=["same", "case", "diacritics", "punctuation", "cedilla and link", "placeholders"],
)
def test_a_planted_copy_of_a_test_row_is_exact(copy):
    train = make_examples([("Cu totul altceva.", "sports"), (copy, "sports")])
    test = make_examples([(SENTENCE, "politics")], split="test")
    (pair,) = find(train, test)
    assert pair == {
        "id": train.id[1],
        "dataset": "handmade",
        "split": "train",
        "task": "topic",
        "other_id": test.id[0],
        "other_dataset": "handmade",
        "other_split": "test",
        "kind": "exact",
        "jaccard": 1.0,
        "same_labels": False,
    }


def test_a_planted_near_copy_has_its_similarity():
    train = make_examples([("unu doi trei patru", "sports")])
    test = make_examples([("doi trei patru cinci", "sports")], split="test")
    (pair,) = find(train, test)
    assert (pair["kind"], pair["jaccard"], pair["same_labels"]) == ("near", 0.6, True)
    assert find(train, test, jaccard=0.7) == []


def test_one_word_texts_count_when_they_are_equal():
    train = make_examples([("Recomand!", "culture"), ("recomandat", "culture")])
    test = make_examples([("recomand", "culture")], split="test")
    (pair,) = find(train, test)
    assert (pair["id"], pair["kind"]) == (train.id[0], "exact")


def test_another_language_s_and_task_s_rows_are_compared_too():
    train = make_examples([(SENTENCE, "joy")], "feelings", task=EMOTION, lang="en")
    test = make_examples([(SENTENCE, "positive")], "reviews", "test", task=SENTIMENT)
    (pair,) = find(train, test)
    assert (pair["dataset"], pair["other_dataset"]) == ("feelings", "reviews")
    assert pair["same_labels"] is None


def test_the_first_side_is_the_one_further_from_the_test():
    places = ["test", "valid", "train", "unlabelled"]
    parts = [make_examples([(SENTENCE, "sports")], split=split) for split in places]
    sides = {(pair["split"], pair["other_split"]) for pair in find(*parts)}
    assert sides == {
        ("train", "unlabelled"),
        *((split, other) for split in ("train", "unlabelled") for other in ("valid", "test")),
        ("valid", "test"),
    }


def test_inside_a_split_each_copy_is_paired_with_the_first_row_only():
    rows = [("Da!", "sports")] * 5 + [("da", "politics")]
    part = make_examples(rows)
    pairs = find(part)
    assert len(pairs) == 5
    assert {pair["id"] for pair in pairs} == {min(part.id)}
    assert {pair["other_id"] for pair in pairs} == set(part.id) - {min(part.id)}


def test_across_splits_every_pair_is_listed():
    train = make_examples([("bun", "sports")] * 3)
    test = make_examples([("Bun.", "sports")] * 2, split="test")
    across = [pair for pair in find(train, test) if pair["split"] != pair["other_split"]]
    assert len(across) == 6


def test_near_copies_across_splits_are_listed_for_every_row_of_either_text():
    train = make_examples([("unu doi trei patru", "sports")] * 2)
    test = make_examples([("unu doi trei", "sports")] * 2, split="test")
    assert Counter(pair["kind"] for pair in find(train, test)) == {"near": 4, "exact": 2}


def test_label_sets_agree_when_they_meet():
    train = make_examples([("unu", "politics|culture"), ("doi", "sports")])
    test = make_examples([("unu", "culture"), ("doi", "culture")], split="test")
    assert Counter(pair["same_labels"] for pair in find(train, test)) == {True: 1, False: 1}


def test_labels_that_one_side_does_not_observe_cannot_conflict():
    rows = [("unu", "joy|trust"), ("doi", "joy"), ("trei", "sadness")]
    other = [("unu", "joy"), ("doi", "joy"), ("trei", "joy")]
    train = make_examples(other, task=EMOTION, never_observed=["trust"])
    test = make_examples(rows, split="test", task=EMOTION)
    assert Counter(pair["same_labels"] for pair in find(train, test)) == {True: 2, False: 1}


def test_texts_of_symbols_only_are_copies_of_themselves_only():
    train = make_examples([("😀", "sports"), ("😡", "sports")])
    test = make_examples([("😡", "sports")], split="test")
    (pair,) = find(train, test)
    assert pair["id"] == train.id[1]


def test_no_copies_give_an_empty_table_with_all_columns():
    table = find_pairs([make_examples([("unu", "sports")])], jaccard=0.6)
    assert table.schema.equals(PAIR_SCHEMA)
    assert table.num_rows == 0


def test_a_dataset_given_twice_is_refused_by_its_ids():
    part = make_examples([("unu", "sports")])
    with pytest.raises(DataError, match=rf"{part.id[0]} stands twice.*handmade/train"):
        find_pairs([part, part], jaccard=0.6)


TEXTS = st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=6).map(" ".join))


@given(TEXTS, TEXTS, st.randoms())
def test_the_order_of_rows_and_parts_does_not_change_the_table(train, test, random):
    parts = [
        make_examples([(text, "sports") for text in texts], split=split)
        for split, texts in (("train", train), ("test", test))
    ]
    shuffled = []
    for part in parts:
        rows = list(range(len(part)))
        random.shuffle(rows)
        shuffled.append(part.select(np.array(rows, dtype=np.int64)))
    random.shuffle(shuffled)
    assert find_pairs(shuffled, jaccard=0.6).equals(find_pairs(parts, jaccard=0.6))


@given(TEXTS, TEXTS)
def test_every_training_text_that_is_like_a_test_text_is_in_a_pair(train, test):
    parts = [
        make_examples([(text, "sports") for text in texts], split=split)
        for split, texts in (("train", train), ("test", test))
    ]
    found = {pair["id"] for pair in find(*parts) if pair["other_split"] == "test"}
    expected = {
        parts[0].id[row]
        for row, text in enumerate(train)
        if any(_compare(text, other) >= 0.6 for other in test)
    }
    assert found & set(parts[0].id) == expected


def _compare(one, other):
    one, other = set(one.split()), set(other.split())
    return len(one & other) / len(one | other)
