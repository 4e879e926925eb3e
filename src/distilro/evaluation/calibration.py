"""Calibration: whether a model's probabilities are as often right as they say, and one repair.

The expected calibration error (ECE) is the mean gap between confidence and accuracy over bins of
equal width; the Brier score is the mean squared error of the probabilities. A multi-class row has
one confidence, that of its arg-max label, which is right if it is in the row's set of gold labels;
a multi-label row has one per observed label, the probability of "yes".

Temperature scaling divides all logits by one number, fitted on validation predictions. It changes
no multi-class decision, and no multi-label one at the threshold 0.5. Predictions keep
probabilities, so the logits are recovered from them, but for a constant per multi-class row.

Source: Guo et al. (2017), "On calibration of modern neural networks", sections 2 and 4.2; Brier
(1950), "Verification of forecasts expressed in terms of probability". Axes: N rows, L labels in the
task's order, M confidences.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from distilro.errors import DataError
from distilro.evaluation.predictions import Predictions
from distilro.modeling.probabilities import compute_probabilities

DEFAULT_BINS = 15
TEMPERATURES = (0.05, 20.0)  # between which the temperature is sought

_LEAST = float(np.finfo(np.float32).tiny)  # stands for the 0 of a float32 softmax
_LEAST_GAP = 2.0**-24  # half the distance from 1 to the next float32: a sigmoid knows no better
_GOLDEN = (math.sqrt(5) - 1) / 2
_SEARCH_STEPS = 50  # the interval shrinks by the golden ratio in each, to below 1e-9


@dataclass(frozen=True)
class Bin:
    """The confidences of one bin: their mean, the share that was right, how many there are."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Calibration:
    """What a set of probabilities is worth: ECE and Brier score, and the reliability curve."""

    ece: float
    brier: float
    curve: tuple[Bin, ...]


def measure_calibration(
    predictions: Predictions, probabilities: np.ndarray, *, bins: int = DEFAULT_BINS
) -> Calibration:
    """Return the calibration of probabilities [N, L] for the rows of `predictions`.

    They are the rows' own or those of `scale_probabilities`. The ECE is in [0, 1]; the Brier score
    is in [0, 2] for a multi-class task, else in [0, 1].

    Raises:
        DataError: no label of any row is observed.
    """
    _check_observed(predictions)
    probabilities = np.asarray(probabilities, np.float64)
    curve = compute_curve(*_list_confidences(predictions, probabilities), bins)
    return Calibration(compute_ece(curve), compute_brier(predictions, probabilities), curve)


def compute_curve(confidence: np.ndarray, right: np.ndarray, bins: int) -> tuple[Bin, ...]:
    """Return the bins that hold any confidence of [M], in [0, 1], from the lowest to the highest.

    Bin b of B holds those in (b / B, (b + 1) / B]; the first one holds 0 too.

    >>> compute_curve(np.array([0.75, 1.0]), np.array([True, False]), 2)
    (Bin(confidence=0.875, accuracy=0.5, count=2),)
    """
    places = np.searchsorted(np.arange(1, bins) / bins, confidence, side="left")
    return tuple(
        Bin(float(confidence[inside].mean()), float(right[inside].mean()), int(inside.sum()))
        for inside in (places == place for place in np.unique(places))
    )


def compute_ece(curve: Sequence[Bin]) -> float:
    """Return the mean gap between confidence and accuracy over the bins, weighted by count."""
    gaps = math.fsum(part.count * abs(part.confidence - part.accuracy) for part in curve)
    return gaps / sum(part.count for part in curve)


def compute_brier(predictions: Predictions, probabilities: np.ndarray) -> float:
    """Return the Brier score of probabilities [N, L] for the rows of `predictions`.

    Multi-class: summed over classes, mean over rows; a set of gold labels counts as one class with
    the sum of their probabilities. Multi-label: mean over observed entries.
    """
    gold = predictions.gold > 0
    if predictions.task.kind == "multi_class":
        within = np.where(gold, probabilities, 0.0).sum(axis=1)
        others = np.where(gold, 0.0, probabilities**2).sum(axis=1)
        return float(((1 - within) ** 2 + others).mean())
    return float(((probabilities - gold) ** 2)[predictions.observed].mean())


def recover_logits(predictions: Predictions) -> np.ndarray:
    """Return logits float64 [N, L] that have the probabilities of `predictions`.

    Multi-class: log p. Multi-label: log (p / (1 - p)), with p kept from 0 and 1 by what float32
    cannot tell from them.
    """
    probabilities = predictions.probabilities.astype(np.float64)
    if predictions.task.kind == "multi_class":
        return np.log(np.maximum(probabilities, _LEAST))
    clipped = np.clip(probabilities, _LEAST_GAP, 1 - _LEAST_GAP)
    return np.log(clipped) - np.log1p(-clipped)


def scale_probabilities(predictions: Predictions, temperature: float) -> np.ndarray:
    """Return the probabilities float32 [N, L] of logits divided by `temperature` (> 0)."""
    return compute_probabilities(predictions.task.kind, recover_logits(predictions) / temperature)


def compute_nll(predictions: Predictions, logits: np.ndarray) -> float:
    """Return the mean negative log-likelihood, in nats, of what was observed, under logits [N, L].

    Multi-class: over rows, of the gold set. Multi-label: over observed entries.
    """
    gold = predictions.gold > 0
    if predictions.task.kind == "multi_class":
        within = np.logaddexp.reduce(np.where(gold, logits, -np.inf), axis=1)
        return float((np.logaddexp.reduce(logits, axis=1) - within).mean())
    losses = np.logaddexp(0, np.where(gold, -logits, logits))  # -log p, -log (1 - p)
    return float(losses[predictions.observed].mean())


def fit_temperature(predictions: Predictions) -> float:
    """Return the temperature, in TEMPERATURES, with the least negative log-likelihood.

    It is never a worse one than 1. Predictions without an error are the likelier the lower the
    temperature, so that theirs is the lowest.

    Raises:
        DataError: no label of any row is observed.
    """
    _check_observed(predictions)
    logits = recover_logits(predictions)

    def measure(log_temperature: float) -> float:
        return compute_nll(predictions, logits / math.exp(log_temperature))

    # subtle: with single gold labels the likelihood is concave in 1 / T, so it has one peak in
    # log T too; sets of gold labels may break that, hence the comparison with 1 and the bounds.
    low, high = (math.log(bound) for bound in TEMPERATURES)
    candidates = (0.0, _search_minimum(measure, low, high), low, high)
    return math.exp(min(candidates, key=measure))


def _search_minimum(measure: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one valley is least, by golden-section search."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = measure(left), measure(right)
    for _ in range(_SEARCH_STEPS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = measure(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = measure(right)
    return (low + high) / 2


def _list_confidences(
    predictions: Predictions, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return confidences float64 [M] and whether each was right, bool [M]."""
    gold = predictions.gold > 0
    if predictions.task.kind == "multi_label":
        return probabilities[predictions.observed], gold[predictions.observed]
    rows = np.arange(len(predictions))
    # subtle: the decision is the model's own; scaling may make two probabilities equal.
    best = predictions.probabilities.argmax(axis=1)
    return probabilities[rows, best], gold[rows, best]


def _check_observed(predictions: Predictions) -> None:
    if not predictions.observed.any():
        raise DataError(
            f"{predictions.recipe}/{predictions.scope} on {predictions.test_set}: no label of any "
            "row is observed, so that nothing can be calibrated. Leave this test set out."
        )
