"""Metrics: from probabilities to decisions, from decisions to counts, from counts to values.

The counts of every row are sufficient statistics: any metric of any resample of the rows is a
formula over their weighted sums, which is what makes the bootstrap fast. Nothing here knows
files or models.

Two conventions differ from the common ones and are meant. Only observed entries count: in a row
of which somebody said only "joy: yes, fear: no", nothing else is right or wrong, and the arg-max
label is sought among the observed ones. And what is undefined is NaN, never 0: the F1 of a label
that is neither present nor decided (left out of the macro average), and every F1 of a multi-class
test set whose gold rows are sets of several labels (their accuracy is defined: the prediction is
right if it is in the set). Axes: N rows, L labels in the task's order.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from distilro.corpora.examples import Task
from distilro.errors import DataError, SettingsError
from distilro.evaluation.predictions import check_probabilities

_STRICT = "strict_"


@dataclass(frozen=True)
class Outcomes:
    """Counts per row, float64: sums over rows (or weighted rows) give every metric.

    `single` is 1 for rows of which every F1 is defined: all but those with a set of gold labels.
    `counted` is 1 for rows with an observed label; `correct` for those right in all of them.
    """

    true_positive: np.ndarray  # [N, L]
    false_positive: np.ndarray  # [N, L]
    false_negative: np.ndarray  # [N, L]
    observed: np.ndarray  # [N, L]
    correct: np.ndarray  # [N]
    counted: np.ndarray  # [N]
    single: np.ndarray  # [N]

    def stack(self) -> np.ndarray:
        """Return all counts as one matrix [N, 4 L + 3]."""
        rows = [self.correct[:, None], self.counted[:, None], self.single[:, None]]
        labels = [self.true_positive, self.false_positive, self.false_negative, self.observed]
        return np.concatenate([*labels, *rows], axis=1)


def decide_labels(
    task: Task,
    probabilities: np.ndarray,
    observed: np.ndarray,
    *,
    threshold: float = 0.5,
    strict: bool = False,
) -> np.ndarray:
    """Return which labels are decided, bool [N, L].

    Multi-class: the arg-max label (the first of equals). Multi-label: every observed label whose
    probability is at least `threshold`, and at least the arg-max among the observed ones; `strict`
    leaves that addition out, as the official protocol of REDv2 does.

    Raises:
        DataError: values outside [0, 1], such as logits.
        SettingsError: a threshold outside (0, 1].

    >>> task = Task("t", "multi_label", ("a", "b"))
    >>> decide_labels(task, np.array([[0.4, 0.1]]), np.ones((1, 2), bool)).tolist()
    [[True, False]]
    """
    check_probabilities(probabilities, task.name)
    if not 0 < threshold <= 1:
        raise SettingsError(f"threshold: expected a probability in (0, 1], got {threshold}.")
    best = _mark_best(np.where(observed, probabilities, -1.0)) & observed
    if task.kind == "multi_class":
        return best
    decided = (probabilities >= threshold) & observed
    return decided if strict else decided | best


def count_outcomes(
    task: Task, gold: np.ndarray, decided: np.ndarray, observed: np.ndarray
) -> Outcomes:
    """Count, row by row, how decisions [N, L] meet gold labels [N, L] where they are observed."""
    gold = (gold > 0) & observed
    decided = decided & observed
    if task.kind == "multi_class":
        correct = (gold & decided).any(axis=1)
        single = gold.sum(axis=1) == 1
    else:
        correct = (gold == decided).all(axis=1) & observed.any(axis=1)
        single = np.ones(len(gold), dtype=bool)
    counts = (gold & decided, ~gold & decided, gold & ~decided, observed)
    rows = (correct, observed.any(axis=1), single)
    return Outcomes(*(part.astype(np.float64) for part in (*counts, *rows)))


def compute_metrics(task: Task, sums: np.ndarray, *, strict: bool = False) -> dict[str, np.ndarray]:
    """Return every metric of the task from summed counts [..., 4 L + 3], each of shape [...].

    Values are in [0, 1] or NaN where undefined. Multi-class: accuracy, macro_f1, micro_f1,
    f1_<label>. Multi-label: macro_f1, micro_f1, hamming_loss, subset_accuracy, f1_<label>; names
    begin with "strict_" where the decisions were.
    """
    width = len(task.labels)
    hits, extra, missed, observed = np.split(sums[..., : 4 * width], 4, axis=-1)
    correct, counted, single = np.moveaxis(sums[..., 4 * width :], -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # subtle: one row with a set of gold labels makes every F1 of the sum undefined.
        defined = np.where(single == counted, 1.0, np.nan)
        f1 = 2 * hits / (2 * hits + extra + missed) * defined[..., None]
        total = 2 * hits.sum(-1) + (extra + missed).sum(-1)
        micro = 2 * hits.sum(-1) / total * defined
        right = correct / counted
        hamming = (extra + missed).sum(-1) / observed.sum(-1)
        macro = np.nansum(f1, axis=-1) / (~np.isnan(f1)).sum(-1)
    named = {"macro_f1": macro, "micro_f1": micro}
    if task.kind == "multi_class":
        named = {"accuracy": right, **named}
    else:
        named |= {"hamming_loss": hamming, "subset_accuracy": right}
    named |= {f"f1_{label}": f1[..., column] for column, label in enumerate(task.labels)}
    prefix = _STRICT if strict else ""
    return {prefix + name: value for name, value in named.items()}


def count_rows(task: Task, sums: np.ndarray, metrics: dict[str, np.ndarray]) -> dict[str, int]:
    """Return the number of rows behind each metric of one sum [4 L + 3]: 0 where undefined."""
    width = len(task.labels)
    observed = dict(zip(task.labels, sums[3 * width : 4 * width], strict=True))
    counted = int(sums[4 * width + 1])
    rows = {}
    for name, value in metrics.items():
        label = name.removeprefix(_STRICT).removeprefix("f1_")
        of_label = name.removeprefix(_STRICT).startswith("f1_")
        rows[name] = 0 if np.isnan(value) else int(observed[label]) if of_label else counted
    return rows


def choose_primary_metric(defined: Collection[str]) -> str:
    """Return the metric that speaks for a test set: macro_f1 where it is defined, else accuracy."""
    for name in ("macro_f1", "accuracy"):
        if name in defined:
            return name
    raise DataError(f"Neither macro_f1 nor accuracy is defined; got {sorted(defined)}.")


def _mark_best(values: np.ndarray) -> np.ndarray:
    best = np.zeros(values.shape, dtype=bool)
    best[np.arange(len(values)), values.argmax(axis=1)] = True
    return best
