"""Runs: resampled over items and seeds as a plain loop does, whatever order files come in."""

import time
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from distilro.corpora.examples import Task
from distilro.errors import DataError
from distilro.evaluation.runs import draw_seed_weights, resample_runs
from distilro.evaluation.statistics import Bootstrap, draw_weights
from tests.evaluation.studies import make_predictions

FEW = Bootstrap(samples=60, seed=1)


def resample(predictions, bootstrap=FEW):
    return resample_runs(predictions, threshold=0.5, bootstrap=bootstrap)


def make_cell(recipe="new", seeds=3, items=20):
    generator = np.random.default_rng(len(recipe))
    return [
        make_predictions(generator.random(items) < 0.7, recipe=recipe, seed=seed)
        for seed in range(seeds)
    ]


def shuffle_rows(one, seed=0):
    order = np.random.default_rng(seed).permutation(len(one))
    arrays = {name: getattr(one, name)[order] for name in ("probabilities", "gold", "observed")}
    return replace(one, id=[one.id[row] for row in order], **arrays)


def test_the_fast_resamples_are_those_of_a_plain_loop():
    cell = make_cell()
    runs = resample(cell)["sentiment", "new", "all"]
    items = np.concatenate(list(draw_weights(20, "sentiment_test", FEW))).astype(int)
    seeds = (draw_seed_weights((0, 1, 2), FEW) * 2).round().astype(int)  # 2 of 3 are drawn
    for resample_row in range(60):
        drawn = np.repeat(np.arange(20), items[resample_row])
        values = [
            f1_score(one.gold[drawn].argmax(1), one.probabilities[drawn].argmax(1), average="macro")
            for one, times in zip(cell, seeds[resample_row], strict=True)
            for _ in range(times)
        ]
        assert runs.resampled[resample_row] == pytest.approx(np.mean(values))


def test_values_and_right_rows_are_those_of_each_seed():
    right = [True, True, False, True]
    runs = resample([make_predictions(right), make_predictions([True] * 4, seed=4)])
    found = runs["sentiment", "new", "all"]
    assert (found.metric, found.seeds, found.test_set) == ("macro_f1", (0, 4), "sentiment_test")
    assert found.values.tolist() == pytest.approx([(2 / 3 + 4 / 5) / 2, 1])
    assert found.correct.tolist() == [right, [True] * 4]


def test_multi_label_rows_are_right_as_a_whole():
    one = replace(
        make_predictions([True] * 3),
        task=Task("emotion", "multi_label", ("fear", "joy")),
        probabilities=np.array([[0.9, 0.8], [0.9, 0.1], [0.2, 0.3]], np.float32),
        gold=np.array([[1, 1], [1, 1], [0, 1]], np.float32),
    )
    found = resample([one])["emotion", "new", "all"]
    assert found.correct.tolist() == [[True, False, True]]


def test_a_set_of_gold_labels_leaves_accuracy_as_the_metric():
    gold = np.array([[1, 1], [1, 0], [1, 0], [0, 1]], np.float32)
    one = replace(make_predictions([True] * 4), gold=gold)
    found = resample([one])["sentiment", "new", "all"]
    assert (found.metric, found.values.tolist()) == ("accuracy", [0.75])


def test_the_order_of_files_and_of_rows_changes_nothing():
    files = [*make_cell(), *make_cell("older")]
    first = resample(files)
    second = resample([shuffle_rows(one, place) for place, one in enumerate(files[::-1])])
    assert set(first) == set(second)
    for key, runs in first.items():
        np.testing.assert_array_equal(runs.resampled, second[key].resampled)
        np.testing.assert_array_equal(runs.correct, second[key].correct)


def test_a_model_meets_the_same_resamples_whoever_stands_beside_it():
    alone = resample(make_cell())["sentiment", "new", "all"]
    beside = resample([*make_cell("older"), *make_cell()])["sentiment", "new", "all"]
    np.testing.assert_array_equal(alone.resampled, beside.resampled)


def test_seeds_are_drawn_alike_for_equal_seeds_and_independently_for_others():
    many = Bootstrap(samples=4000, seed=1)
    first, again = draw_seed_weights((0, 1, 2), many), draw_seed_weights((0, 1, 2), many)
    other = draw_seed_weights((0, 1, 5), many)
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first[:, 0], other[:, 0])[0, 1]) < 0.05


def test_a_single_seed_is_kept():
    assert (draw_seed_weights((3,), FEW) == 1).all()


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_the_mean_over_drawn_seeds_varies_as_the_mean_over_seeds_does(count):
    values = np.random.default_rng(count).normal(size=count)
    weights = draw_seed_weights(tuple(range(count)), Bootstrap(samples=40_000, seed=1))
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    expected = values.var(ddof=1) / count  # unbiased; drawing all seeds gives (K - 1) / K of it
    assert (weights @ values).var() == pytest.approx(expected, rel=0.03)


def test_a_hundred_models_of_a_large_test_set_take_seconds():
    generator = np.random.default_rng(0)
    files = [
        make_predictions(generator.random(3000) < 0.7, recipe=f"r{recipe}", seed=seed)
        for recipe in range(20)
        for seed in range(5)
    ]
    began = time.process_time()
    resample(files, Bootstrap(samples=1000))
    assert time.process_time() - began < 10  # a loop over resamples takes many minutes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": ["0000", "0001", "0002", "9999"]}, "SHA-256"),
        ({"gold": np.array([[0, 1], [0, 1], [1, 0], [0, 1]], np.float32)}, "SHA-256"),
        ({"test_set": "another_test"}, "another_test"),
        ({"task": Task("sentiment", "multi_class", ("bad", "good"))}, "good"),
    ],
)
def test_models_of_different_items_are_both_named(change, said):
    first = make_predictions([True] * 4)
    second = replace(make_predictions([True] * 4, recipe="older", seed=3), **change)
    for order in ([first, second], [second, first]):
        with pytest.raises(DataError, match=said) as caught:
            resample(order)
        assert "new/all seed 0" in str(caught.value)
        assert "older/all seed 3" in str(caught.value)


def test_a_model_given_twice_is_named():
    with pytest.raises(DataError, match=r"new/all seed 0 on sentiment_test.*twice"):
        resample([make_predictions([True] * 4), make_predictions([False] * 4)])


def test_texts_without_diacritics_are_no_official_test():
    with pytest.raises(DataError, match="stripped"):
        resample([replace(make_predictions([True] * 4), variant="stripped")])
