"""Metrics: by hand, equal to scikit-learn, and right about what nobody observed."""

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from distilro.corpora.examples import Task
from distilro.errors import DataError, SettingsError
from distilro.evaluation.metrics import (
    choose_primary_metric,
    compute_metrics,
    count_outcomes,
    count_rows,
    decide_labels,
)

EMOTION = Task("emotion", "multi_label", ("sadness", "fear", "joy"))
TOPIC = Task("topic", "multi_class", ("culture", "politics", "tech"))
ALL = np.ones((1, 3), bool)


def measure(task, gold, decided, observed=None, *, strict=False):
    observed = np.ones(np.shape(gold), bool) if observed is None else observed
    sums = count_outcomes(task, np.asarray(gold), decided, observed).stack().sum(axis=0)
    metrics = compute_metrics(task, sums, strict=strict)
    return metrics, count_rows(task, sums, metrics)


def draw_case(seed, rows=60, labels=3):
    generator = np.random.default_rng(seed)
    return generator.random((rows, labels)) < 0.4, generator.random((rows, labels)) < 0.5


def test_a_label_is_decided_from_the_threshold_on():
    decided = decide_labels(EMOTION, np.array([[0.5, 0.49, 0.9]]), ALL)
    assert decided.tolist() == [[True, False, True]]


def test_the_most_probable_label_is_decided_even_below_the_threshold():
    low = np.array([[0.1, 0.3, 0.2]])
    assert decide_labels(EMOTION, low, ALL).tolist() == [[False, True, False]]
    assert not decide_labels(EMOTION, low, ALL, strict=True).any()


def test_the_most_probable_label_is_sought_among_the_observed_ones():
    observed = np.array([[True, False, True]])
    decided = decide_labels(EMOTION, np.array([[0.1, 0.9, 0.2]]), observed)
    assert decided.tolist() == [[False, False, True]]


def test_a_row_of_which_nothing_is_observed_gets_no_decision():
    assert not decide_labels(EMOTION, np.array([[0.9, 0.9, 0.9]]), ~ALL).any()


def test_a_class_is_the_most_probable_one_and_the_first_of_equals():
    decided = decide_labels(TOPIC, np.array([[0.4, 0.2, 0.4]]), ALL)
    assert decided.tolist() == [[True, False, False]]


@pytest.mark.parametrize("value", [1.7, -0.2, float("nan")])
def test_thresholds_take_probabilities_only(value):
    with pytest.raises(DataError, match="logits"):
        decide_labels(EMOTION, np.array([[0.5, value, 0.5]]), ALL)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5, float("nan")])
def test_a_threshold_is_a_probability_above_zero(threshold):
    with pytest.raises(SettingsError, match="threshold"):
        decide_labels(EMOTION, np.full((1, 3), 0.5), ALL, threshold=threshold)


def test_multi_label_metrics_by_hand():
    gold = [[1, 0, 1], [0, 1, 0]]
    decided = np.array([[1, 1, 0], [0, 1, 0]], bool)
    # sadness: 1 hit. fear: 1 hit, 1 extra. joy: 1 missed. 2 of 6 entries wrong, 1 of 2 rows right.
    metrics, rows = measure(EMOTION, gold, decided)
    assert metrics == {
        "macro_f1": pytest.approx((1 + 2 / 3 + 0) / 3),
        "micro_f1": pytest.approx(2 * 2 / (2 * 2 + 2)),
        "hamming_loss": pytest.approx(2 / 6),
        "subset_accuracy": 0.5,
        "f1_sadness": 1.0,
        "f1_fear": pytest.approx(2 / 3),
        "f1_joy": 0.0,
    }
    assert set(rows.values()) == {2}


def test_strict_decisions_give_metrics_of_that_name():
    metrics, rows = measure(EMOTION, [[1, 0, 0]], np.array([[1, 0, 0]], bool), strict=True)
    assert metrics["strict_f1_sadness"] == 1.0
    assert rows["strict_f1_sadness"] == rows["strict_micro_f1"] == 1
    assert all(name.startswith("strict_") for name in metrics)


@pytest.mark.parametrize("seed", range(5))
def test_multi_label_metrics_equal_scikit_learns(seed):
    gold, decided = draw_case(seed)
    metrics, _ = measure(EMOTION, gold, decided)
    per_label = reference.f1_score(gold, decided, average=None)
    assert metrics["macro_f1"] == pytest.approx(reference.f1_score(gold, decided, average="macro"))
    assert metrics["micro_f1"] == pytest.approx(reference.f1_score(gold, decided, average="micro"))
    assert metrics["hamming_loss"] == pytest.approx(reference.hamming_loss(gold, decided))
    assert metrics["subset_accuracy"] == pytest.approx(reference.accuracy_score(gold, decided))
    assert [metrics[f"f1_{label}"] for label in EMOTION.labels] == pytest.approx(per_label.tolist())


@pytest.mark.parametrize("seed", range(5))
def test_multi_class_metrics_equal_scikit_learns(seed):
    gold, decided = np.random.default_rng(seed).integers(3, size=(2, 80))
    metrics, _ = measure(TOPIC, np.eye(3)[gold], np.eye(3, dtype=bool)[decided])
    assert metrics["accuracy"] == pytest.approx(reference.accuracy_score(gold, decided))
    for average in ("macro", "micro"):
        expected = reference.f1_score(gold, decided, average=average)
        assert metrics[f"{average}_f1"] == pytest.approx(expected)


@given(st.integers(0, 10**6), st.integers(1, 8))
@settings(max_examples=50)
def test_metrics_are_shares_or_undefined_and_undefined_has_no_rows(seed, rows):
    gold, decided = draw_case(seed, rows)
    observed = np.random.default_rng(seed + 1).random((rows, 3)) < 0.5
    metrics, counts = measure(EMOTION, gold, decided, observed)
    for name, value in metrics.items():
        assert (counts[name] == 0) == bool(np.isnan(value))
        assert np.isnan(value) or 0 <= value <= 1


@given(st.integers(0, 10**6))
@settings(max_examples=50)
def test_what_is_unobserved_changes_nothing(seed):
    gold, decided = draw_case(seed, 6)
    observed = np.random.default_rng(seed + 1).random((6, 3)) < 0.5
    first, _ = measure(EMOTION, gold, decided, observed)
    second, _ = measure(EMOTION, gold ^ ~observed, decided ^ ~observed, observed)
    np.testing.assert_equal(first, second)


def test_partly_observed_rows_are_judged_by_what_is_observed():
    observed = np.array([[1, 0, 1], [1, 0, 1]], bool)
    decided = np.array([[1, 1, 0], [0, 1, 0]], bool)
    metrics, rows = measure(EMOTION, [[1, 0, 0], [0, 0, 1]], decided, observed)
    assert np.isnan(metrics["f1_fear"])
    assert rows["f1_fear"] == 0
    assert metrics["macro_f1"] == pytest.approx((1 + 0) / 2)  # sadness and joy; fear is left out
    assert metrics["hamming_loss"] == pytest.approx(1 / 4)
    assert metrics["subset_accuracy"] == 0.5
    assert rows["macro_f1"] == 2


def test_a_label_neither_present_nor_decided_has_no_f1_rather_than_zero():
    metrics, rows = measure(EMOTION, [[1, 0, 0]], np.array([[1, 0, 0]], bool))
    assert np.isnan(metrics["f1_joy"])
    assert rows["f1_joy"] == 0
    assert metrics["macro_f1"] == 1.0


def test_a_prediction_inside_the_set_of_gold_labels_is_right():
    gold = [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    decided = np.eye(3, dtype=bool)[[0, 2, 2]]
    metrics, rows = measure(TOPIC, gold, decided)
    assert metrics["accuracy"] == pytest.approx(2 / 3)
    assert rows["accuracy"] == 3


def test_one_set_of_gold_labels_makes_every_f1_undefined():
    gold = [[1, 1, 0], [0, 0, 1]]
    metrics, rows = measure(TOPIC, gold, np.eye(3, dtype=bool)[[0, 2]])
    f1 = {name for name in metrics if "f1" in name}
    assert f1 == set(metrics) - {"accuracy"}
    assert all(np.isnan(metrics[name]) and rows[name] == 0 for name in f1)


def test_no_rows_give_nothing_but_undefined_values():
    metrics, rows = measure(EMOTION, np.zeros((0, 3)), np.zeros((0, 3), bool))
    assert all(np.isnan(value) for value in metrics.values())
    assert set(rows.values()) == {0}


def test_sums_of_many_resamples_are_measured_at_once():
    gold, decided = draw_case(1)
    counts = count_outcomes(EMOTION, gold, decided, np.ones(gold.shape, bool)).stack()
    sums = np.stack([counts.sum(axis=0), counts[:30].sum(axis=0)])
    together = compute_metrics(EMOTION, sums)
    for row in range(2):
        alone = compute_metrics(EMOTION, sums[row])
        assert {name: value[row] for name, value in together.items()} == alone


def test_macro_f1_speaks_for_a_test_set_where_it_is_defined_else_accuracy():
    assert choose_primary_metric({"accuracy", "macro_f1", "micro_f1"}) == "macro_f1"
    assert choose_primary_metric({"accuracy"}) == "accuracy"
    with pytest.raises(DataError, match="hamming_loss"):
        choose_primary_metric({"hamming_loss"})
