"""Runs: the models of a recipe, one per seed, on a test set, resampled over items and seeds.

A resample draws items and seeds together. Two recipes on a test set meet the same items, and the
same seeds where they have the same; the metric of a resample is the mean, over the seeds drawn, of
the metric on the items drawn. Everything is resampled once and serves every comparison, so that
two recipes are compared by subtracting their resamples. What a difference means is not said here.

Two properties are meant to be known. Of K seeds, K - 1 are drawn: drawing K would make the
variance between seeds (K - 1) / K of what it is, a fifth too small with five seeds. And noise that
belongs to one item and one seed counts up to three times when both are drawn, so that intervals
are rather too wide than too narrow. A recipe with one seed shows nothing of the spread of seeds.

Source: Davison and Hinkley, Bootstrap Methods and their Application (1997), section 3.8, for data
of several levels; Owen (2007), "The pigeonhole bootstrap", Annals of Applied Statistics 1, for
two crossed ones; Rao and Wu (1988), Journal of the American Statistical Association 83, for K - 1.
Axes: B resamples, K seeds, N items, C counts per item.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from distilro.corpora.examples import Task
from distilro.errors import DataError
from distilro.evaluation.metrics import (
    choose_primary_metric,
    compute_metrics,
    count_outcomes,
    decide_labels,
)
from distilro.evaluation.predictions import Predictions
from distilro.evaluation.statistics import Bootstrap, draw_weights
from distilro.progress import show_progress

RunsKey = tuple[str, str, str]  # task, recipe, scope
_Cell = tuple[str, str]  # recipe, scope


@dataclass(frozen=True)
class Runs:
    """What the models of one recipe and scope, one per seed, did on the test set of a task."""

    test_set: str
    metric: str
    seeds: tuple[int, ...]  # K, ascending
    values: np.ndarray  # [K]: the metric on all items
    resampled: np.ndarray  # [B]: its mean over the seeds drawn, on the items drawn
    correct: np.ndarray  # bool [K, N]: rows right in every observed label


@dataclass
class _TestSet:
    first: Predictions  # every other file must have its items
    counts: dict[_Cell, dict[int, np.ndarray]] = field(default_factory=dict)  # [N, C] per seed


def resample_runs(
    predictions: Iterable[Predictions], *, threshold: float, bootstrap: Bootstrap
) -> dict[RunsKey, Runs]:
    """Return the Runs of every task, recipe and scope, whatever order their files come in.

    Each task has one test set. Its metric is the primary one of those that are defined for every
    model: what is defined depends on the gold labels, so that it is the same for all.

    Raises:
        DataError: a model stands twice, predictions are not of the official texts, or two models
            of a task have not the same test set, items or gold labels.
    """
    tests: dict[str, _TestSet] = {}
    for one in predictions:
        test = tests.setdefault(one.task.name, _TestSet(one))
        _check_items(one, test.first)
        seeds = test.counts.setdefault((one.recipe, one.scope), {})
        if one.seed in seeds:
            raise DataError(f"{_name(one)}: these predictions stand twice. Give each file once.")
        seeds[one.seed] = _count_rows(one, threshold)
    runs = {}
    with show_progress(len(tests) * bootstrap.samples, what="resampling", unit="resample") as bar:
        for task, test in sorted(tests.items()):
            found = _resample_test_set(test, bootstrap, bar)
            runs |= {(task, *cell): one for cell, one in found.items()}
    return runs


def draw_seed_weights(seeds: Sequence[int], bootstrap: Bootstrap) -> np.ndarray:
    """Return the share of each seed in each resample, float64 [B, K]; rows sum to 1.

    The draws depend on the seeds alone: two recipes with the same seeds are drawn alike, others
    independently. A single seed is kept.
    """
    if len(seeds) == 1:
        return np.ones((bootstrap.samples, 1))
    digest = hashlib.sha256(f"{bootstrap.seed}\x1fseeds\x1f{list(seeds)}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:16], "big"))
    draws, even = len(seeds) - 1, np.full(len(seeds), 1 / len(seeds))
    return generator.multinomial(draws, even, size=bootstrap.samples) / draws


def _resample_test_set(test: _TestSet, bootstrap: Bootstrap, bar: tqdm) -> dict[_Cell, Runs]:
    task, cells = test.first.task, sorted(test.counts)
    seeds = {cell: tuple(sorted(test.counts[cell])) for cell in cells}
    # subtle: float32 is exact here, since counts are whole and their sums far below 2 ** 24.
    counts = {
        cell: np.concatenate(
            [test.counts[cell][seed] for seed in seeds[cell]], axis=1, dtype=np.float32
        )
        for cell in cells
    }  # [N, K C] each
    values = {cell: _compute(task, counts[cell].sum(axis=0)[None]) for cell in cells}  # [1, K]
    metric = choose_primary_metric(_list_defined(values.values()))
    drawn: dict[_Cell, list[np.ndarray]] = {cell: [] for cell in cells}
    for weights in draw_weights(len(test.first), test.first.test_set, bootstrap):
        exact = weights.astype(np.float32)  # [b, N]
        for cell in cells:
            drawn[cell].append(_compute(task, exact @ counts[cell])[metric])  # [b, K]
        bar.update(len(exact))
    return {
        cell: Runs(
            test_set=test.first.test_set,
            metric=metric,
            seeds=seeds[cell],
            values=values[cell][metric][0],
            resampled=_average_seeds(np.concatenate(drawn[cell]), seeds[cell], bootstrap),
            correct=_find_correct(task, counts[cell]),
        )
        for cell in cells
    }


def _average_seeds(drawn: np.ndarray, seeds: Sequence[int], bootstrap: Bootstrap) -> np.ndarray:
    return (drawn * draw_seed_weights(seeds, bootstrap)).sum(axis=1)  # [B, K] -> [B]


def _compute(task: Task, sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return every metric, [b, K], of sums [b, K C]."""
    per_seed = sums.astype(np.float64).reshape(len(sums), -1, _count_columns(task))
    return compute_metrics(task, per_seed)


def _count_columns(task: Task) -> int:
    return 4 * len(task.labels) + 3  # of Outcomes.stack


def _find_correct(task: Task, counts: np.ndarray) -> np.ndarray:
    per_seed = counts.reshape(len(counts), -1, _count_columns(task))
    return per_seed[:, :, 4 * len(task.labels)].T > 0  # [K, N]


def _list_defined(values: Iterable[dict[str, np.ndarray]]) -> set[str]:
    found = list(values)
    return {name for name in found[0] if not any(np.isnan(one[name]).any() for one in found)}


def _count_rows(predictions: Predictions, threshold: float) -> np.ndarray:
    """Return zeros and ones [N, C] in the order of the ids: every model meets the same items."""
    task, gold, observed = predictions.task, predictions.gold, predictions.observed
    decided = decide_labels(task, predictions.probabilities, observed, threshold=threshold)
    counts = count_outcomes(task, gold, decided, observed).stack()
    return counts[_order(predictions)].astype(np.uint8)


def _order(predictions: Predictions) -> np.ndarray:
    return np.argsort(np.asarray(predictions.id), kind="stable")


def _check_items(predictions: Predictions, first: Predictions) -> None:
    if predictions.variant != "official":
        raise DataError(
            f"{_name(predictions)}: expected predictions of the official texts, got the variant "
            f"{predictions.variant!r}. Give the files of the official variant alone."
        )
    both = (predictions, first)
    if predictions.task != first.task or predictions.test_set != first.test_set:
        said = [f"{one.test_set} with the task {one.task}" for one in both]
    else:
        said = [_digest_items(one) for one in both]
    if said[0] != said[1]:
        raise DataError(
            f"Two models cannot be compared: {_name(predictions)} was tested on {said[0]}, "
            f"{_name(first)} on {said[1]}. Each task has one test set, with the same items and "
            "gold labels for every model. Run the stage predict again for both."
        )


def _digest_items(predictions: Predictions) -> str:
    """Describe ids, gold labels and observed labels: equal texts for equal items in any order."""
    order = _order(predictions)
    digest = hashlib.sha256("\n".join(sorted(predictions.id)).encode())
    for array in (predictions.gold[order] > 0, predictions.observed[order]):
        digest.update(np.packbits(array).tobytes())
    return f"{len(predictions)} items of SHA-256 {digest.hexdigest()[:16]}"


def _name(predictions: Predictions) -> str:
    cell = f"{predictions.recipe}/{predictions.scope} seed {predictions.seed}"
    return f"{cell} on {predictions.test_set}"
