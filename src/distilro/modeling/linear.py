"""The linear baseline: TF-IDF n-grams and logistic regression, the line every model must beat.

A multi-label task gets one classifier per label, fitted on the rows where that label is observed;
a multi-class task gets one multinomial classifier, in which a row whose label is a set of k labels
counts as k copies of weight 1/k. Classes are balanced by weight. The fit is deterministic: the
seed is recorded and changes nothing.

It does not normalise text (the caller does), tune thresholds or read the files of other stages.
Axes: N texts, F n-grams, L labels in the task's order.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from distilro.artifacts import read_json, write_atomically, write_json
from distilro.corpora.examples import Examples, Task
from distilro.errors import DataError, IntegrityError, SettingsError
from distilro.modeling.ngrams import UNITS, Ngrams, fit_ngrams
from distilro.settings import LinearSettings, check_section

FORMAT = "distilro-linear"
VERSION = 1
NEVER = -20.0  # logit of a label that no training row shows: finite, and never decided

_TEXTS_AT_ONCE = 4096  # bounds the memory of scoring a large corpus
_MAX_ITERATIONS = 1000
_TWO_CLASSES = 2

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LinearModel:
    """A fitted baseline for one task; it scores texts and can be saved as plain arrays.

    `unlearned` are the labels without training rows to tell them apart; their logit is constant.
    """

    task: Task
    ngrams: Ngrams
    coefficients: np.ndarray  # float32 [L, F]
    intercepts: np.ndarray  # float32 [L]
    seed: int
    unlearned: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Return the one task that the model scores."""
        return (self.task,)

    def score(self, task: str, texts: Sequence[str]) -> np.ndarray:
        """Return logits, float32 [N, L], of normalised texts in their order.

        A row's logits do not depend on the other texts. Their sigmoid (multi-label) or softmax
        (multi-class) are the probabilities.
        """
        if task != self.task.name:
            raise SettingsError(
                f"The linear model was fitted for task {self.task.name!r}, not {task!r}. "
                "Score each task with its own model."
            )
        weights = self.coefficients.T.astype(np.float64)  # [F, L]
        logits = [np.zeros((0, len(self.task.labels)))]
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            features = self.ngrams.transform(texts[start : start + _TEXTS_AT_ONCE])
            logits.append(features @ weights + self.intercepts)  # [at once, L]
        return np.concatenate(logits).astype(np.float32)

    def save(self, folder: str | Path) -> None:
        """Write model.safetensors and config.json into `folder`, each atomically."""
        folder = Path(folder)
        tensors = {f"{unit}.idf": self.ngrams.idf[unit] for unit in UNITS}
        tensors |= {"coefficients": self.coefficients, "intercepts": self.intercepts}
        with write_atomically(folder / "model.safetensors") as temporary:
            save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, temporary)
        config = {
            "format": FORMAT,
            "version": VERSION,
            "tasks": [asdict(self.task)],
            "settings": self.ngrams.settings.model_dump(mode="json"),
            "seed": self.seed,
            "ngrams": self.ngrams.terms,
            "unlearned": list(self.unlearned),
        }
        write_json(folder / "config.json", config)


def fit_linear(examples: Examples, settings: LinearSettings, seed: int) -> LinearModel:
    """Fit the baseline on the examples of one task.

    Raises:
        DataError: no n-gram is frequent enough, or a multi-class task shows fewer than two labels.
        SettingsError: a range of n-gram lengths is empty.
    """
    ngrams, features = fit_ngrams(examples.text, settings)  # features: [N, F]
    fit = _fit_labels if examples.task.kind == "multi_label" else _fit_classes
    with threadpool_limits(limits=1):  # subtle: sums would depend on the number of threads
        coefficients, intercepts, learned = fit(
            features, examples, strength=settings.inverse_regularisation
        )
    unlearned = [examples.task.labels[label] for label in np.flatnonzero(~learned)]
    if unlearned:
        logger.warning("%s: no rows to learn %s from.", examples.task.name, ", ".join(unlearned))
    return LinearModel(
        task=examples.task,
        ngrams=ngrams,
        coefficients=coefficients.astype(np.float32),
        intercepts=intercepts.astype(np.float32),
        seed=seed,
        unlearned=tuple(unlearned),
    )


def load_linear(folder: str | Path) -> LinearModel:
    """Read a saved baseline; its logits equal those of the model that was saved.

    Raises:
        IntegrityError: a file is absent, malformed, of another version, or the two disagree.
    """
    folder = Path(folder)
    config = read_json(folder / "config.json")
    got = (config.get("format"), config.get("version")) if isinstance(config, dict) else config
    if got != (FORMAT, VERSION):
        raise IntegrityError(
            f"{folder / 'config.json'}: expected {(FORMAT, VERSION)}, got {got}. "
            "Train the model again."
        )
    try:
        model = _assemble(config, load_file(folder / "model.safetensors"))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, SettingsError) as error:
        raise IntegrityError(
            f"{folder}: the linear model cannot be read ({type(error).__name__}: {error}). "
            "Delete the folder and train the model again."
        ) from error
    _check_tensors(model, folder)
    return model


def _assemble(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> LinearModel:
    (task,) = config["tasks"]
    ngrams = Ngrams(
        settings=check_section(LinearSettings, config["settings"]),
        terms={unit: config["ngrams"][unit] for unit in UNITS},
        idf={unit: tensors[f"{unit}.idf"] for unit in UNITS},
    )
    return LinearModel(
        task=Task(task["name"], task["kind"], tuple(task["labels"])),
        ngrams=ngrams,
        coefficients=tensors["coefficients"],
        intercepts=tensors["intercepts"],
        seed=config["seed"],
        unlearned=tuple(config["unlearned"]),
    )


def _check_tensors(model: LinearModel, folder: Path) -> None:
    labels = len(model.task.labels)
    checks = {
        "coefficients": (model.coefficients, (labels, len(model.ngrams))),
        "intercepts": (model.intercepts, (labels,)),
    }
    for unit in UNITS:
        checks[f"{unit}.idf"] = (model.ngrams.idf[unit], (len(model.ngrams.terms[unit]),))
    for name, (tensor, shape) in checks.items():
        if tensor.shape != shape or not np.isfinite(tensor).all():
            raise IntegrityError(
                f"{folder / 'model.safetensors'}: tensor {name} must be finite of shape {shape} "
                f"to fit config.json, got shape {tensor.shape}. Train the model again."
            )


def _fit_labels(
    features: sp.csr_matrix, examples: Examples, *, strength: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit one yes/no classifier per label on the rows where the label is observed."""
    labels = len(examples.task.labels)
    coefficients = np.zeros((labels, features.shape[1]))
    intercepts = np.zeros(labels)
    learned = np.zeros(labels, dtype=bool)
    for label in range(labels):
        rows = np.flatnonzero(examples.observed[:, label])
        present = (examples.target[rows, label] > 0).astype(int)
        if len(np.unique(present)) < _TWO_CLASSES:
            intercepts[label] = -NEVER if present.any() else NEVER
            continue
        fitted = _fit_balanced(features[rows], present, np.ones(len(rows)), strength=strength)
        coefficients[label] = fitted.coef_[0]
        intercepts[label] = fitted.intercept_[0]
        learned[label] = True
    return coefficients, intercepts, learned


def _fit_classes(
    features: sp.csr_matrix, examples: Examples, *, strength: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit one multinomial classifier over the labels that occur; sets count as weighted copies."""
    labels = len(examples.task.labels)
    rows, classes = np.nonzero(examples.target > 0)
    weights = 1.0 / np.bincount(rows)[rows]
    learned = np.bincount(classes, minlength=labels) > 0
    if learned.sum() < _TWO_CLASSES:
        raise DataError(
            f"{examples.task.name}: the {len(examples)} training rows show {learned.sum()} of "
            f"{labels} labels; expected at least two. Give rows of more labels."
        )
    fitted = _fit_balanced(features[rows], classes, weights, strength=strength)
    coefficient, intercept = fitted.coef_, fitted.intercept_
    if len(coefficient) == 1:  # two classes share one logit z: softmax([-z/2, z/2]) = sigmoid(z)
        coefficient = np.concatenate([-coefficient, coefficient]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    coefficients = np.zeros((labels, features.shape[1]))
    intercepts = np.full(labels, NEVER)
    coefficients[fitted.classes_] = coefficient
    intercepts[fitted.classes_] = intercept
    return coefficients, intercepts, learned


def _fit_balanced(
    features: sp.csr_matrix, classes: np.ndarray, weights: np.ndarray, *, strength: float
) -> LogisticRegression:
    """Fit with every class's total weight made equal (scikit-learn's "balanced" for plain rows)."""
    names, positions = np.unique(classes, return_inverse=True)
    totals = np.bincount(positions, weights=weights)
    balanced = weights * (weights.sum() / (len(names) * totals))[positions]
    classifier = LogisticRegression(C=strength, solver="lbfgs", max_iter=_MAX_ITERATIONS)
    classifier.fit(features, classes, sample_weight=balanced)
    if classifier.n_iter_.max() >= _MAX_ITERATIONS:
        logger.warning("The linear baseline stopped after %d iterations.", _MAX_ITERATIONS)
    return classifier
