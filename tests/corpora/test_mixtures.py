import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.corpora.audit import find_dropped
from distilro.corpora.copies import find_pairs
from distilro.corpora.examples import concatenate
from distilro.corpora.mixtures import Draw, build_mixture, order_by_hash
from distilro.errors import DataError, SettingsError
from tests.corpora.handmade import SENTIMENT, make_examples, number_texts

ROMANIAN = number_texts(90, "stiri")
ENGLISH = number_texts(60, "news", lang="en")
BOTH = {"ro": ROMANIAN, "en": ENGLISH}
SHARES = st.floats(0.001, 1)


def mix(shares, parts=BOTH, *, dropped=(), salt="13", caps=None):
    draws = {lang: Draw(share, (caps or {}).get(lang)) for lang, share in shares.items()}
    reasons = {identity: ("near copy of x/test",) for identity in dropped}
    return build_mixture(parts, draws, dropped=reasons, salt=salt)


def test_a_worked_example():
    # Hash order of a, b, c under salt 13 is c, b, a; without c, half of the other two is b.
    digests = order_by_hash(["a", "b", "c"], "13").tolist()
    assert digests == [2, 1, 0]
    rows = make_examples([("unu", "sports"), ("doi", "culture"), ("trei", "sports")])
    rows = rows.__class__(**{**vars(rows), "id": ["a", "b", "c"]})
    examples, manifest = mix({"ro": 0.5}, {"ro": rows}, dropped=["c"])
    assert examples.id == ["b"]
    assert examples.text == ["doi"]
    assert manifest == {
        "version": 1,
        "task": "topic",
        "rows": 1,
        "labels": {"culture": 1, "politics": 0, "sports": 0},
        "datasets": {
            "handmade": {
                "language": "ro",
                "available_rows": 3,
                "dropped_rows": 1,
                "dropped_reasons": {"near copy of x/test": 1},
                "dropped": {"c": ["near copy of x/test"]},
                "cap": None,
                "over_cap_rows": 0,
                "share": 0.5,
                "over_share_rows": 1,
                "rows": 1,
                "labels": {"culture": 1, "politics": 0, "sports": 0},
            }
        },
    }


def test_another_draw_takes_other_rows_of_the_same_under_the_cap():
    def draw(number, share, cap=40):
        draws = {"en": Draw(share, cap, number)}
        return set(build_mixture({"en": ENGLISH}, draws, dropped={}, salt="13")[0].id)

    assert draw(0, 1.0) == draw(1, 1.0) == draw(2, 1.0)
    halves = [draw(number, 0.5) for number in range(3)]
    assert [len(half) for half in halves] == [20] * 3
    assert all(half < draw(0, 1.0) for half in halves)
    assert len({frozenset(half) for half in halves}) == 3
    assert draw(1, 0.25) < halves[1]


def test_whole_shares_hold_every_row_of_both_languages_once():
    examples, manifest = mix({"ro": 1.0, "en": 1.0})
    assert sorted(examples.id) == sorted([*ROMANIAN.id, *ENGLISH.id])
    assert manifest["rows"] == 150
    assert manifest["labels"] == {"culture": 50, "politics": 50, "sports": 50}


def test_a_language_that_is_not_asked_for_is_not_there():
    examples, manifest = mix({"en": 0.5})
    assert set(examples.lang) == {"en"}
    assert list(manifest["datasets"]) == ["news"]


@given(SHARES, SHARES, st.sampled_from([None, 7, 40]), st.text(max_size=4))
def test_a_smaller_share_is_a_subset_of_a_larger_one(one, other, cap, salt):
    small, large = sorted([one, other])
    few, _ = mix({"ro": small}, caps={"ro": cap}, salt=salt)
    many, _ = mix({"ro": large}, caps={"ro": cap}, salt=salt)
    assert set(few.id) <= set(many.id)


@given(SHARES, st.sampled_from([None, 7, 40]))
def test_rows_are_within_one_of_the_share(share, cap):
    examples, _ = mix({"ro": share}, caps={"ro": cap})
    assert abs(len(examples) - share * (cap or 90)) <= 1
    assert len(examples) >= 1


@given(st.integers(1, 89), st.integers(1, 89))
def test_a_smaller_cap_is_a_subset_of_a_larger_one(one, other):
    few, _ = mix({"ro": 1.0}, caps={"ro": min(one, other)})
    many, _ = mix({"ro": 1.0}, caps={"ro": max(one, other)})
    assert len(few) == min(one, other)
    assert set(few.id) <= set(many.id)


@given(st.permutations(range(90)), SHARES)
def test_the_order_of_the_input_does_not_matter(order, share):
    shuffled = {"en": ENGLISH, "ro": ROMANIAN.select(np.array(order))}
    one, manifest = mix({"ro": share, "en": 0.5})
    other, same = mix({"en": 0.5, "ro": share}, shuffled)
    assert one.id == other.id
    assert one.text == other.text
    assert np.array_equal(one.target, other.target)
    assert manifest == same


@given(st.sets(st.sampled_from(ROMANIAN.id), max_size=89), SHARES)
def test_no_dropped_row_is_ever_in_a_mixture(dropped, share):
    examples, manifest = mix({"ro": share, "en": 1.0}, dropped=dropped)
    assert not dropped & set(examples.id)
    account = manifest["datasets"]["stiri"]
    assert account["dropped"].keys() == dropped
    assert account["available_rows"] == (
        account["dropped_rows"]
        + account["over_cap_rows"]
        + account["over_share_rows"]
        + account["rows"]
    )


@given(st.data())
def test_a_leak_planted_in_any_row_never_reaches_a_mixture(data):
    rows = data.draw(st.sets(st.integers(0, 59), min_size=1, max_size=20))
    test = make_examples(
        [(ENGLISH.text[row].upper() + "!", "sports") for row in sorted(rows)], "alt", "test"
    )
    dropped = find_dropped(find_pairs([ENGLISH, test], jaccard=0.6))
    examples, _ = build_mixture({"en": ENGLISH}, {"en": Draw(1.0)}, dropped=dropped, salt="")
    assert set(examples.id) == {ENGLISH.id[row] for row in range(60) if row not in rows}


def test_another_salt_draws_other_rows():
    one, _ = mix({"ro": 0.5}, salt="13")
    other, _ = mix({"ro": 0.5}, salt="14")
    assert set(one.id) != set(other.id)


def test_labels_keep_their_proportions_within_noise():
    big = number_texts(6000)
    examples, manifest = mix({"ro": 0.5}, {"ro": big})
    assert len(examples) == 3000
    for count in manifest["labels"].values():
        assert abs(count - 1000) < 4 * np.sqrt(3000 * 1 / 3 * 2 / 3 / 2)


def test_languages_are_shuffled_together():
    examples, _ = mix({"ro": 1.0, "en": 1.0})
    assert 20 <= sum(lang == "en" for lang in examples.lang[:75]) <= 40


@pytest.mark.parametrize("share", [0, -0.5, 1.5, float("nan")])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(SettingsError, match="share"):
        Draw(share)


def test_a_cap_of_nothing_is_refused():
    with pytest.raises(SettingsError, match="cap"):
        Draw(1.0, 0)


def test_a_language_without_rows_is_refused():
    with pytest.raises(SettingsError, match=r"got \['fr'\]"):
        mix({"fr": 1.0})
    with pytest.raises(SettingsError, match=r"got \[\]"):
        mix({})


def test_validation_rows_and_other_languages_are_refused():
    with pytest.raises(DataError, match="valid"):
        mix({"ro": 1.0}, {"ro": number_texts(3, split="valid")})
    with pytest.raises(DataError, match="'en'"):
        mix({"ro": 1.0}, {"ro": ENGLISH})
    with pytest.raises(DataError, match="one dataset"):
        mix({"ro": 1.0}, {"ro": concatenate([ROMANIAN, number_texts(3)])})


def test_two_tasks_do_not_mix():
    with pytest.raises(DataError, match="different tasks"):
        mix(
            {"ro": 1.0, "en": 1.0},
            {"ro": ROMANIAN, "en": number_texts(4, task=SENTIMENT, lang="en")},
        )


def test_a_dataset_of_which_nothing_is_left_is_an_error():
    with pytest.raises(DataError, match="each of its 60 training rows"):
        mix({"en": 1.0}, dropped=ENGLISH.id)
