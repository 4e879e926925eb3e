"""Loyalty: how faithfully a student says what its teacher says, whatever the truth is.

Three numbers for two models' predictions of one test set, each at most 1, which a student equal to
its teacher reaches. Label loyalty: the share of items that both decide alike, a multi-label item
by its whole set. Probability loyalty: the mean over items of 1 - sqrt(Jensen-Shannon divergence)
in base 2; of a multi-label item the Bernoulli divergences are averaged over labels before the root.
Regression loyalty: Pearson's correlation of the two models' probabilities of a label over items,
averaged over labels; a label of which one model always says the same has none and is left out.

Gold labels play no part: entries that nobody observed count like all others. Each measure is a
formula over sums of counts per item, which is what makes the bootstrap fast.

Source: Xu et al. (2021), "Beyond preserved accuracy: evaluating loyalty and robustness of BERT
compression", section 3; regression loyalty: Avram et al. (2022), "Distilling the knowledge of
Romanian BERTs using multiple teachers". Axes: N items, L labels in the task's order.
"""

from dataclasses import replace

import numpy as np

from distilro.corpora.examples import Task
from distilro.errors import DataError
from distilro.evaluation.metrics import decide_labels
from distilro.evaluation.predictions import Predictions
from distilro.evaluation.statistics import Bootstrap, Interval, bootstrap_intervals

MEASURES = ("label", "probability", "regression")

_FIXED = 3  # counts per item that are not per label: agreement, loyalty, one
_MOMENTS = 5  # counts per item and label: x, y, xx, yy, xy
_CONSTANT = 1e-10  # share of the mean square below which a variance is rounding


def measure_loyalty(
    student: Predictions, teacher: Predictions, *, threshold: float, bootstrap: Bootstrap
) -> dict[str, Interval]:
    """Return each of MEASURES with its interval over the items of the test set.

    `threshold` is the multi-label decision's, in (0, 1]. Label and probability loyalty are in
    [0, 1]; regression loyalty is in [-1, 1], or NaN where no label has one.

    Raises:
        DataError: the two are not predictions of the same items for the same task.
    """
    student, teacher = _sort_items(student), _sort_items(teacher)
    _check_pair(student, teacher)
    task, pair = student.task, (student.probabilities, teacher.probabilities)
    columns = [
        compare_labels(student, teacher, threshold),
        compare_probabilities(task, *pair),
        np.ones(len(student)),
    ]
    counts = np.concatenate([np.stack(columns, axis=1), _count_moments(*pair)], axis=1)
    return bootstrap_intervals(counts, _compute_loyalty, student.test_set, bootstrap)


def compare_labels(student: Predictions, teacher: Predictions, threshold: float) -> np.ndarray:
    """Return 1 for every item of which both models decide the same labels, else 0: float64 [N]."""
    decided = [
        decide_labels(
            part.task, part.probabilities, np.ones_like(part.observed), threshold=threshold
        )
        for part in (student, teacher)
    ]
    return (decided[0] == decided[1]).all(axis=1).astype(np.float64)


def compare_probabilities(task: Task, student: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    """Return 1 - sqrt(Jensen-Shannon divergence in base 2) of probabilities [N, L]: [N], in [0, 1].

    >>> topic = Task("topic", "multi_class", ("a", "b"))
    >>> compare_probabilities(topic, np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])).tolist()
    [0.0]
    """
    p, q = (np.asarray(part, np.float64) for part in (student, teacher))  # [N, L]
    if task.kind == "multi_label":
        p, q = (np.stack([part, 1 - part], axis=-1) for part in (p, q))  # [N, L, 2]
    else:
        p, q = (part / part.sum(axis=1, keepdims=True) for part in (p, q))
    middle = (p + q) / 2
    divergence = (_compute_divergence(p, middle) + _compute_divergence(q, middle)) / 2
    if task.kind == "multi_label":
        divergence = divergence.mean(axis=1)
    return 1 - np.sqrt(np.clip(divergence, 0, 1))  # rounding may leave [0, 1]


def _compute_divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the Kullback-Leibler divergence in bits over the last axis; q > 0 where p > 0."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return (p * np.log2(ratio)).sum(axis=-1)


def _sort_items(predictions: Predictions) -> Predictions:
    """Put items in the order of their ids, so that resamples meet the items that scores meet."""
    order = np.argsort(np.asarray(predictions.id), kind="stable")
    arrays = ("probabilities", "gold", "observed")
    return replace(
        predictions,
        id=[predictions.id[row] for row in order.tolist()],
        **{name: getattr(predictions, name)[order] for name in arrays},
    )


def _check_pair(student: Predictions, teacher: Predictions) -> None:
    pair = (student, teacher)
    kinds = [(part.task, part.test_set, part.variant, part.id) for part in pair]
    if kinds[0] != kinds[1]:
        cells = [
            f"{part.recipe}/{part.scope} seed {part.seed} on {part.test_set} ({part.variant}, "
            f"{len(part)} items)"
            for part in pair
        ]
        raise DataError(
            f"Loyalty of {cells[0]} to {cells[1]}: expected the same task, labels, test set, "
            f"variant and items; {len(set(student.id) & set(teacher.id))} items are shared. Run "
            "the stage predict for both."
        )


def _count_moments(student: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    """Return per item and label x, y, xx, yy, xy of centred probabilities: [N, 5 L]."""
    x, y = (_centre(np.asarray(part, np.float64)) for part in (student, teacher))
    return np.concatenate([x, y, x * x, y * y, x * y], axis=1)


def _centre(values: np.ndarray) -> np.ndarray:
    # subtle: a column of equal values has a mean that differs from them by rounding.
    return np.where(np.ptp(values, axis=0) > 0, values - values.mean(axis=0), 0.0)


def _compute_loyalty(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return MEASURES from summed counts [..., 3 + 5 L], each of shape [...]."""
    items = sums[..., 2]
    means = sums[..., _FIXED:] / items[..., None]
    x, y, xx, yy, xy = np.split(means, _MOMENTS, axis=-1)  # [..., L]
    variances = (xx - x * x, yy - y * y)
    varied = (variances[0] > _CONSTANT * xx) & (variances[1] > _CONSTANT * yy)
    scale = np.sqrt(np.where(varied, variances[0] * variances[1], 1.0))
    correlation = np.where(varied, (xy - x * y) / scale, 0.0).sum(axis=-1)
    labels = varied.sum(axis=-1)
    return {
        "label": sums[..., 0] / items,
        "probability": sums[..., 1] / items,
        "regression": np.where(labels > 0, correlation / np.maximum(labels, 1), np.nan),
    }
