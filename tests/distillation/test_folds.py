import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from distilro.artifacts import hash_json
from distilro.corpora.examples import hash_text
from distilro.distillation.folds import (
    assign_folds,
    describe_fold_set,
    find_seen,
    join_fold_logits,
)
from distilro.errors import IntegrityError, SettingsError

CARD = {"recipe": "single", "scope": "topic", "seed": 1, "tokenizer": "t" * 64, "max_tokens": 64}
texts = st.lists(st.sampled_from([f"text {number}" for number in range(12)]), max_size=30)


def make_cards(*weights, **entries):
    return [{**CARD, "weights": weight, "valid": {"topic": 0.5}, **entries} for weight in weights]


def test_a_held_out_row_and_a_foreign_row_by_hand():
    logits = [np.array([[1.0], [2.0], [3.0]]), np.array([[5.0], [6.0], [8.0]])]
    joined = join_fold_logits(np.array([1, 0, 0]), np.array([True, True, False]), logits)
    assert joined.tolist() == [[5.0], [2.0], [5.5]]
    assert joined.dtype == np.float32


@given(texts=texts, folds=st.integers(2, 5), salt=st.text(max_size=3), data=st.data())
def test_a_text_has_the_same_fold_wherever_it_stands(texts, folds, salt, data):
    hashes = [hash_text(text) for text in texts]
    assigned = assign_folds(hashes, folds, salt)
    assert assigned.dtype == np.int64
    assert assigned.shape == (len(hashes),)
    assert ((assigned >= 0) & (assigned < folds)).all()
    shuffled = data.draw(st.permutations(range(len(hashes))))
    again = assign_folds([hashes[place] for place in shuffled], folds, salt)
    assert again.tolist() == assigned[shuffled].tolist()
    assert len(set(zip(hashes, assigned.tolist(), strict=True))) == len(set(hashes))


@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_the_folds_are_a_fair_draw(folds):
    hashes = [hash_text(str(number)) for number in range(6000)]
    counts = np.bincount(assign_folds(hashes, folds, "salt"), minlength=folds)
    assert chisquare(counts).pvalue > 0.01


def test_another_salt_draws_independent_folds():
    hashes = [hash_text(str(number)) for number in range(6000)]
    pairs = 3 * assign_folds(hashes, 3, "one") + assign_folds(hashes, 3, "two")
    assert chisquare(np.bincount(pairs, minlength=9)).pvalue > 0.01


@pytest.mark.parametrize("folds", [-1, 0, 1])
def test_fewer_than_two_folds_are_refused(folds):
    with pytest.raises(SettingsError, match=f"expected 2 or more, got {folds}"):
        assign_folds([hash_text("unu")], folds, "salt")


@given(learned=texts, asked=texts, folds=st.integers(2, 5))
def test_no_text_is_ever_answered_by_a_model_that_learned_it(learned, asked, folds):
    """Models of which each answers 1 for what it learned and 0 for all else.

    So a held-out row gets 0, and so does a row that nobody learned; one answer of a model that
    learned the text would show.
    """
    learned, asked = ([hash_text(text) for text in part] for part in (learned, asked))
    of_learned = assign_folds(learned, folds, "salt")
    models = [
        {text for text, fold in zip(learned, of_learned, strict=True) if fold != left_out}
        for left_out in range(folds)
    ]
    logits = [
        np.array([[float(text in model)] for text in asked]).reshape(-1, 1) for model in models
    ]
    seen = find_seen(asked, learned)
    assert seen.tolist() == [text in learned for text in asked]
    joined = join_fold_logits(assign_folds(asked, folds, "salt"), seen, logits)
    assert (joined == 0).all()


def test_a_copy_of_a_training_text_in_another_dataset_is_held_out_too():
    learned = [hash_text(text) for text in ("unu", "doi", "trei")]
    asked = [hash_text(text) for text in ("trei", "patru")]
    assert find_seen(asked, learned).tolist() == [True, False]


@given(seed=st.integers(0, 999), folds=st.integers(2, 5))
def test_where_all_models_agree_it_does_not_matter_which_is_asked(seed, folds):
    generator = np.random.default_rng(seed)
    logits = generator.standard_normal((6, 3)).astype(np.float32)
    assigned, seen = generator.integers(folds, size=6), generator.random(6) < 0.5
    assert np.allclose(join_fold_logits(assigned, seen, [logits] * folds), logits, rtol=1e-6)


@pytest.mark.parametrize(
    ("assigned", "seen", "shapes"),
    [
        ([0, 1], [True], [(2, 3), (2, 3)]),
        ([0, 1], [True, True], [(2, 3), (3, 3)]),
        ([0, 1], [True, True], [(2, 3), (2, 4)]),
        ([0, 1], [True, True], [(3, 3), (3, 3)]),
        ([0, 1], [True, True], []),
        ([0, 2], [True, True], [(2, 3), (2, 3)]),
        ([0, -1], [True, True], [(2, 3), (2, 3)]),
    ],
)
def test_answers_that_do_not_fit_the_rows_are_refused(assigned, seen, shapes):
    with pytest.raises(IntegrityError, match="Nothing was joined"):
        join_fold_logits(np.array(assigned), np.array(seen), [np.zeros(shape) for shape in shapes])


def test_fold_models_are_one_teacher():
    first, second = make_cards("a" * 64, "b" * 64)
    card = describe_fold_set([{**first, "valid": {"topic": 0.4}, "parameters": 7}, second])
    assert card == {
        **CARD,
        "folds": 2,
        "weights": hash_json(["a" * 64, "b" * 64]),
        "fold_weights": ["a" * 64, "b" * 64],
        "valid": {"topic": pytest.approx(0.45)},
    }


def test_any_other_model_and_any_other_order_are_another_teacher():
    hashes = {
        describe_fold_set(make_cards(*order))["weights"] for order in ("abc", "acb", "abd", "ab")
    }
    assert len(hashes) == 4


def test_tokenizers_that_differ_are_told_by_the_hash_of_all():
    first, second = make_cards("a", "b")
    card = describe_fold_set([first, {**second, "tokenizer": "u" * 64}])
    assert card["tokenizer"] == hash_json(["t" * 64, "u" * 64])


def test_cards_without_validation_scores_make_one_without():
    cards = [{k: v for k, v in card.items() if k != "valid"} for card in make_cards("a", "b")]
    assert describe_fold_set(cards)["valid"] == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [("recipe", "multi"), ("scope", "all"), ("seed", 2), ("max_tokens", 128), ("valid", {})],
)
def test_a_model_that_does_not_belong_is_named(field, value):
    cards = make_cards("a", "b", "c")
    cards[1][field] = value
    with pytest.raises(IntegrityError, match=r"model of fold 1 .*Nothing was written"):
        describe_fold_set(cards)


def test_a_single_model_is_no_set_of_folds():
    with pytest.raises(IntegrityError, match="got 1"):
        describe_fold_set(make_cards("a"))
