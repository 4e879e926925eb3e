"""Calibration: by hand, against scikit-learn and SciPy, and a known distortion undone."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.metrics import brier_score_loss, log_loss

from distilro.corpora.examples import Task
from distilro.errors import DataError
from distilro.evaluation.calibration import (
    TEMPERATURES,
    Bin,
    compute_brier,
    compute_curve,
    compute_ece,
    compute_nll,
    fit_temperature,
    measure_calibration,
    recover_logits,
    scale_probabilities,
)
from distilro.evaluation.metrics import decide_labels
from distilro.evaluation.predictions import Predictions
from distilro.modeling.probabilities import compute_probabilities

EMOTION = Task("emotion", "multi_label", ("fear", "joy", "trust"))
TOPIC = Task("topic", "multi_class", ("culture", "politics", "sports"))
TASKS = pytest.mark.parametrize("task", [TOPIC, EMOTION])


def make_predictions(task, probabilities, gold, observed=None) -> Predictions:
    shape = np.shape(probabilities)
    return Predictions(
        task=task,
        recipe="single_ro",
        scope=task.name,
        seed=0,
        test_set="made_up",
        language="ro",
        variant="official",
        model_hash="0" * 64,
        id=[f"{row:016x}" for row in range(shape[0])],
        probabilities=np.asarray(probabilities, np.float32),
        gold=np.asarray(gold, np.float32),
        observed=np.ones(shape, bool) if observed is None else np.asarray(observed, bool),
    )


def draw(task, rows=400, *, distortion=1.0, seed=0, spread=2.0) -> Predictions:
    """Return labels drawn from a model's probabilities, and its logits times `distortion`."""
    generator = np.random.default_rng(seed)
    logits = spread * generator.standard_normal((rows, len(task.labels)))
    true = compute_probabilities(task.kind, logits).astype(float)
    if task.kind == "multi_class":
        chosen = (generator.random((rows, 1)) > true.cumsum(axis=1)).sum(axis=1).clip(max=2)
        gold = np.eye(len(task.labels))[chosen]
    else:
        gold = generator.random(true.shape) < true
    return make_predictions(task, compute_probabilities(task.kind, distortion * logits), gold)


def test_the_expected_calibration_error_by_hand():
    """Two bins: (0.2, 0.4) of which one is right, (0.9) of which none is."""
    confidence, right = np.array([0.2, 0.4, 0.9]), np.array([False, True, False])
    curve = compute_curve(confidence, right, 2)
    assert [(part.accuracy, part.count) for part in curve] == [(0.5, 2), (0.0, 1)]
    assert [part.confidence for part in curve] == pytest.approx([0.3, 0.9])
    assert compute_ece(curve) == pytest.approx(2 / 3 * 0.2 + 1 / 3 * 0.9)


def test_a_confidence_on_an_edge_belongs_to_the_lower_bin_and_0_to_the_first():
    edges = np.arange(16) / 15
    curve = compute_curve(edges, np.ones(16, bool), 15)
    assert [part.count for part in curve] == [2] + [1] * 14
    assert [part.confidence for part in curve[1:]] == pytest.approx(edges[2:].tolist())


def test_empty_bins_are_left_out():
    assert compute_curve(np.array([1.0]), np.array([True]), 15) == (Bin(1.0, 1.0, 1),)


def test_the_confidence_of_a_multi_class_row_is_its_best_label():
    gold = [[1, 0, 0], [0, 0, 1], [0, 1, 1]]
    rows = [[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.1, 0.1, 0.8]]
    predictions = make_predictions(TOPIC, rows, gold)
    found = measure_calibration(predictions, predictions.probabilities)
    assert [(part.accuracy, part.count) for part in found.curve] == [(0, 1), (1, 1), (1, 1)]
    assert found.ece == pytest.approx((0.5 + 0.3 + 0.2) / 3, abs=1e-6)


def test_each_observed_label_of_a_multi_label_row_is_a_confidence():
    observed = [[True, True, False], [True, False, False]]
    predictions = make_predictions(
        EMOTION, [[0.9, 0.2, 0.5], [0.4, 0.5, 0.5]], [[1, 1, 0], [0, 0, 0]], observed
    )
    found = measure_calibration(predictions, predictions.probabilities, bins=10)
    assert sum(part.count for part in found.curve) == 3
    assert found.ece == pytest.approx((0.1 + 0.8 + 0.4) / 3, abs=1e-6)
    assert found.brier == pytest.approx((0.1**2 + 0.8**2 + 0.4**2) / 3, abs=1e-6)


def test_the_brier_score_by_hand_with_a_set_of_gold_labels():
    predictions = make_predictions(
        TOPIC, [[0.5, 0.3, 0.2], [0.6, 0.3, 0.1]], [[1, 0, 0], [1, 1, 0]]
    )
    expected = ((0.5**2 + 0.3**2 + 0.2**2) + (0.1**2 + 0.1**2)) / 2
    assert compute_brier(predictions, predictions.probabilities) == pytest.approx(expected)


def test_brier_scores_are_scikit_learns():
    topic, emotion = draw(TOPIC), draw(EMOTION)
    of_topic = topic.probabilities.astype(float)
    expected = brier_score_loss(
        topic.gold.argmax(axis=1), of_topic / of_topic.sum(axis=1, keepdims=True),
        labels=[0, 1, 2], scale_by_half=False,
    )  # fmt: skip
    assert compute_brier(topic, topic.probabilities) == pytest.approx(expected, rel=1e-5)
    of_emotion = emotion.probabilities.astype(float)
    expected = brier_score_loss(emotion.gold.ravel(), of_emotion.ravel())
    assert compute_brier(emotion, of_emotion) == pytest.approx(expected)


def test_likelihoods_are_scikit_learns():
    topic, emotion = draw(TOPIC), draw(EMOTION)
    of_topic = topic.probabilities.astype(float)
    expected = log_loss(topic.gold, of_topic / of_topic.sum(axis=1, keepdims=True))
    assert compute_nll(topic, recover_logits(topic)) == pytest.approx(expected, abs=1e-6)
    expected = log_loss(emotion.gold.ravel(), emotion.probabilities.astype(float).ravel())
    assert compute_nll(emotion, recover_logits(emotion)) == pytest.approx(expected)


def test_the_likelihood_of_a_gold_set_is_that_of_its_sum():
    predictions = make_predictions(TOPIC, [[0.5, 0.3, 0.2]], [[1, 1, 0]])
    assert compute_nll(predictions, recover_logits(predictions)) == pytest.approx(-math.log(0.8))


@TASKS
def test_a_temperature_of_one_gives_the_probabilities_back(task):
    predictions = draw(task)
    scaled = scale_probabilities(predictions, 1.0)
    np.testing.assert_allclose(scaled, predictions.probabilities, atol=1e-6)


@TASKS
@pytest.mark.parametrize("distortion", [0.5, 2.0, 4.0])
def test_the_temperature_of_a_known_distortion_is_found(task, distortion):
    predictions = draw(task, 8000, distortion=distortion, spread=1.0)
    assert fit_temperature(predictions) == pytest.approx(distortion, rel=0.06)


@TASKS
def test_scaling_repairs_an_overconfident_model_on_other_rows(task):
    valid, test = (draw(task, 4000, distortion=3.0, seed=seed) for seed in (1, 2))
    raw = measure_calibration(test, test.probabilities)
    scaled = measure_calibration(test, scale_probabilities(test, fit_temperature(valid)))
    assert scaled.ece < 0.03
    assert raw.ece > 0.08
    assert scaled.brier < raw.brier


@TASKS
def test_the_temperature_is_scipys(task):
    predictions = draw(task, 200, distortion=2.5, seed=3)
    logits = recover_logits(predictions)
    found = minimize_scalar(
        lambda log_t: compute_nll(predictions, logits / math.exp(log_t)),
        bounds=tuple(map(math.log, TEMPERATURES)), method="bounded", options={"xatol": 1e-10},
    )  # fmt: skip
    assert fit_temperature(predictions) == pytest.approx(math.exp(found.x), rel=1e-6)


@given(st.integers(0, 10_000), st.integers(1, 8), st.sampled_from([TOPIC, EMOTION]), st.booleans())
@settings(max_examples=60)
def test_scaling_never_makes_the_likelihood_of_the_validation_rows_worse(seed, rows, task, sets):
    generator = np.random.default_rng(seed)
    predictions = draw(task, rows, distortion=float(generator.uniform(0.2, 5)), seed=seed)
    gold = generator.random(predictions.gold.shape) < 0.5 if sets else predictions.gold > 0
    gold[:, 0] |= ~gold.any(axis=1)
    observed = np.ones(gold.shape, bool)
    if task.kind == "multi_label":
        observed = generator.random(gold.shape) < 0.7
        observed[0, 0] = True
    predictions = replace(predictions, gold=gold.astype(np.float32), observed=observed)
    logits = recover_logits(predictions)
    temperature = fit_temperature(predictions)
    assert TEMPERATURES[0] * 0.999 <= temperature <= TEMPERATURES[1] * 1.001
    assert compute_nll(predictions, logits / temperature) <= compute_nll(predictions, logits)


@TASKS
def test_scaling_changes_no_decision(task):
    predictions = draw(task, 300)
    decided = decide_labels(task, predictions.probabilities, predictions.observed)
    for temperature in (0.3, 3.0):
        scaled = scale_probabilities(predictions, temperature)
        np.testing.assert_array_equal(decide_labels(task, scaled, predictions.observed), decided)


def test_predictions_without_an_error_get_the_lowest_temperature():
    predictions = make_predictions(TOPIC, [[0.8, 0.1, 0.1]] * 3, [[1, 0, 0]] * 3)
    assert fit_temperature(predictions) == pytest.approx(TEMPERATURES[0], rel=1e-6)


def test_predictions_worse_than_chance_get_the_highest_temperature():
    predictions = make_predictions(EMOTION, [[0.9, 0.9, 0.9]] * 3, [[0, 0, 0]] * 3)
    assert fit_temperature(predictions) == pytest.approx(TEMPERATURES[1], rel=1e-6)


def test_certain_probabilities_have_finite_logits_and_likelihoods():
    topic = make_predictions(TOPIC, [[1.0, 0.0, 0.0]], [[0, 1, 0]])
    emotion = make_predictions(EMOTION, [[1.0, 0.0, 1.0]], [[0, 1, 1]])
    for predictions in (topic, emotion):
        assert np.isfinite(recover_logits(predictions)).all()
        assert math.isfinite(compute_nll(predictions, recover_logits(predictions)))
        assert fit_temperature(predictions) > 1


def test_what_nobody_observed_counts_for_nothing():
    predictions = draw(EMOTION, 50)
    observed = np.ones((50, 3), bool)
    observed[::2, 1] = False
    changed = predictions.probabilities.copy()
    changed[::2, 1] = 0.999
    parts = [replace(predictions, observed=observed, probabilities=p)
             for p in (predictions.probabilities, changed)]  # fmt: skip
    found = [(fit_temperature(part), measure_calibration(part, part.probabilities))
             for part in parts]  # fmt: skip
    assert found[0] == found[1]


def test_a_test_set_in_which_nothing_is_observed_is_an_error():
    predictions = replace(draw(EMOTION, 4), observed=np.zeros((4, 3), bool))
    for measure in (fit_temperature, lambda part: measure_calibration(part, part.probabilities)):
        with pytest.raises(DataError, match=r"single_ro/emotion on made_up: no label"):
            measure(predictions)
