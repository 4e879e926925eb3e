"""The one number per task that chooses the best step of a training."""

import numpy as np

from distilro.corpora.examples import Task
from distilro.evaluation.metrics import compute_metrics, count_outcomes, decide_labels
from distilro.modeling.probabilities import compute_probabilities


def score_logits(task: Task, logits: np.ndarray, gold: np.ndarray, observed: np.ndarray) -> float:
    """Return macro-F1, in [0, 1], of logits [N, L] under the rule of the report at 0.5.

    A validation set with label sets has no macro-F1: there it is accuracy.
    """
    probabilities = compute_probabilities(task.kind, logits)
    decided = decide_labels(task, probabilities, observed)
    sums = count_outcomes(task, gold, decided, observed).stack().sum(axis=0)
    metrics = compute_metrics(task, sums)
    macro_f1 = float(metrics["macro_f1"])
    return macro_f1 if np.isfinite(macro_f1) else float(metrics["accuracy"])
