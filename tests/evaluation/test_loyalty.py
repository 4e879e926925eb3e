"""Loyalty: by hand, against SciPy, and what must hold for any two models."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import pearsonr

from distilro.corpora.examples import Task
from distilro.errors import DataError
from distilro.evaluation.loyalty import (
    MEASURES,
    compare_labels,
    compare_probabilities,
    measure_loyalty,
)
from distilro.evaluation.predictions import Predictions
from distilro.evaluation.statistics import Bootstrap, draw_weights

EMOTION = Task("emotion", "multi_label", ("fear", "joy", "trust"))
TOPIC = Task("topic", "multi_class", ("culture", "politics", "sports"))
FEW = Bootstrap(samples=100, seed=1)


def make_predictions(probabilities, task=TOPIC, **changes) -> Predictions:
    probabilities = np.asarray(probabilities, np.float32)
    gold = np.zeros(probabilities.shape, np.float32)
    gold[:, 0] = 1
    values = {
        **{"recipe": "student", "scope": task.name, "seed": 0, "test_set": "made_up"},
        **{"language": "ro", "variant": "official", "model_hash": "0" * 64},
        "id": [f"{row:016x}" for row in range(len(probabilities))],
    }
    observed = np.ones(probabilities.shape, bool)
    made = Predictions(
        task=task, probabilities=probabilities, gold=gold, observed=observed, **values
    )
    return replace(made, **changes)


def draw(task, rows, seed):
    generator = np.random.default_rng(seed)
    probabilities = generator.random((rows, len(task.labels)))
    if task.kind == "multi_class":
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    return make_predictions(probabilities, task)


def measure(student, teacher, bootstrap=FEW):
    return measure_loyalty(student, teacher, threshold=0.5, bootstrap=bootstrap)


def test_label_loyalty_by_hand():
    student = make_predictions([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6], [0.4, 0.4, 0.2]])
    teacher = make_predictions([[0.9, 0.1, 0.0], [0.5, 0.2, 0.3], [0.0, 0.0, 1.0], [0.6, 0.2, 0.2]])
    assert compare_labels(student, teacher, 0.5).tolist() == [1, 0, 1, 1]
    assert measure(student, teacher)["label"].value == 0.75


def test_a_multi_label_item_is_decided_alike_when_its_whole_set_is():
    student = make_predictions([[0.6, 0.6, 0.1], [0.6, 0.6, 0.1], [0.2, 0.1, 0.0]], EMOTION)
    teacher = make_predictions([[0.9, 0.5, 0.4], [0.9, 0.4, 0.4], [0.4, 0.3, 0.3]], EMOTION)
    assert compare_labels(student, teacher, 0.5).tolist() == [1, 0, 1]


def test_the_threshold_of_the_decision_is_that_of_the_settings():
    student = make_predictions([[0.9, 0.4, 0.1]], EMOTION)
    teacher = make_predictions([[0.9, 0.6, 0.1]], EMOTION)
    assert compare_labels(student, teacher, 0.5).tolist() == [0]
    assert compare_labels(student, teacher, 0.3).tolist() == [1]


def test_probability_loyalty_by_hand():
    """p = (1, 0), q = (1/2, 1/2): the divergence is 3/2 - 3/4 log2 3 bits."""
    task = Task("t", "multi_class", ("a", "b"))
    loyalty = compare_probabilities(task, np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    assert loyalty == pytest.approx([1 - math.sqrt(1.5 - 0.75 * math.log2(3))])


def test_bernoulli_divergences_are_averaged_before_the_root():
    """One label of two agrees, the other says yes where the teacher says no: 1 - sqrt(1/2)."""
    task = Task("t", "multi_label", ("a", "b"))
    loyalty = compare_probabilities(task, np.array([[0.3, 1.0]]), np.array([[0.3, 0.0]]))
    assert loyalty == pytest.approx([1 - math.sqrt(0.5)])


def test_divergences_are_scipys():
    student, teacher = draw(TOPIC, 50, 1).probabilities, draw(TOPIC, 50, 2).probabilities
    expected = [1 - jensenshannon(p, q, base=2) for p, q in zip(student, teacher, strict=True)]
    assert compare_probabilities(TOPIC, student, teacher) == pytest.approx(expected, abs=1e-6)


def test_bernoulli_divergences_are_scipys():
    student, teacher = (draw(EMOTION, 50, seed).probabilities.astype(float) for seed in (1, 2))
    expected = [
        1 - math.sqrt(np.mean([jensenshannon([a, 1 - a], [b, 1 - b], base=2) ** 2
                               for a, b in zip(p, q, strict=True)]))
        for p, q in zip(student, teacher, strict=True)
    ]  # fmt: skip
    assert compare_probabilities(EMOTION, student, teacher) == pytest.approx(expected)


@pytest.mark.parametrize("task", [TOPIC, EMOTION])
def test_regression_loyalty_is_the_mean_of_scipys_correlations(task):
    student, teacher = draw(task, 60, 1), draw(task, 60, 2)
    pairs = zip(student.probabilities.T, teacher.probabilities.T, strict=True)
    expected = np.mean([pearsonr(x.astype(float), y.astype(float))[0] for x, y in pairs])
    assert measure(student, teacher)["regression"].value == pytest.approx(expected)


def test_a_label_that_one_model_never_varies_is_left_out_of_the_mean():
    student, teacher = draw(EMOTION, 40, 1), draw(EMOTION, 40, 2)
    student.probabilities[:, 1] = 0.1  # not exact in binary: its mean differs by rounding
    expected = np.mean(
        [pearsonr(student.probabilities[:, j].astype(float),
                  teacher.probabilities[:, j].astype(float))[0] for j in (0, 2)]
    )  # fmt: skip
    assert measure(student, teacher)["regression"].value == pytest.approx(expected)


def test_a_model_that_always_says_the_same_has_no_regression_loyalty():
    student = make_predictions(np.full((9, 3), 1 / 3))
    interval = measure(student, draw(TOPIC, 9, 1))["regression"]
    assert np.isnan([interval.value, interval.low, interval.high]).all()


@pytest.mark.parametrize("task", [TOPIC, EMOTION])
def test_a_student_equal_to_its_teacher_is_wholly_loyal(task):
    teacher = draw(task, 30, 3)
    for name, interval in measure(replace(teacher, seed=4), teacher).items():
        bounds = [interval.value, interval.low, interval.high]
        assert bounds == pytest.approx([1, 1, 1], abs=1e-12), name


@given(st.integers(0, 1000), st.integers(2, 12), st.sampled_from([TOPIC, EMOTION]))
@settings(max_examples=40)
def test_loyalty_is_symmetric_and_in_its_range(seed, rows, task):
    one, other = draw(task, rows, seed), draw(task, rows, seed + 1)
    forth, back = measure(one, other), measure(other, one)
    assert tuple(forth) == MEASURES
    for name, interval in forth.items():
        low = -1 if name == "regression" else 0
        assert low - 1e-9 <= interval.value <= 1 + 1e-9
        assert interval.value == pytest.approx(back[name].value, nan_ok=True)


def test_a_scaled_and_shifted_copy_loses_probability_but_no_regression_loyalty():
    teacher = draw(EMOTION, 50, 5)
    found = measure(make_predictions(0.2 + 0.5 * teacher.probabilities, EMOTION), teacher)
    assert found["regression"].value == pytest.approx(1, abs=1e-6)
    assert found["probability"].value < 0.95


def test_the_order_of_the_rows_changes_nothing():
    student, teacher = draw(TOPIC, 20, 1), draw(TOPIC, 20, 2)
    names = ("id", "probabilities", "gold", "observed")
    turned = replace(student, **{name: getattr(student, name)[::-1] for name in names})
    assert measure(turned, teacher) == measure(student, teacher)


def test_the_interval_is_that_of_resampling_one_by_one():
    student, teacher = draw(EMOTION, 25, 1), draw(EMOTION, 25, 2)
    values = []
    for weights in np.concatenate(list(draw_weights(25, "made_up", FEW))):
        rows = np.repeat(np.arange(25), weights.astype(int))
        x, y = (part.probabilities[rows].astype(float) for part in (student, teacher))
        values.append(np.mean([pearsonr(x[:, j], y[:, j])[0] for j in range(3)]))
    interval = measure(student, teacher)["regression"]
    bounds = np.quantile(values, [0.025, 0.975])
    assert [interval.low, interval.high] == pytest.approx(bounds.tolist())


@pytest.mark.parametrize(
    "changes",
    [
        {"test_set": "another"},
        {"variant": "typos"},
        {"task": replace(TOPIC, labels=("culture", "sports", "politics"))},
        {"id": [f"{row:016x}" for row in range(1, 6)]},
    ],
)
def test_predictions_of_other_items_are_refused(changes):
    student = draw(TOPIC, 5, 1)
    with pytest.raises(DataError, match=r"seed 0 on made_up .*Run the stage predict for both"):
        measure(student, replace(draw(TOPIC, 5, 2), **changes))


def test_fewer_items_are_refused_and_counted():
    with pytest.raises(DataError, match=r"5 items\).*4 items\).*4 items are shared"):
        measure(draw(TOPIC, 5, 1), draw(TOPIC, 4, 2))


def test_a_thousand_resamples_of_a_large_test_set_take_about_a_second():
    student, teacher = draw(EMOTION, 7000, 1), draw(EMOTION, 7000, 2)
    start = time.process_time()
    measure(student, teacher, Bootstrap())
    assert time.process_time() - start < 3  # a loop over resamples takes a minute
