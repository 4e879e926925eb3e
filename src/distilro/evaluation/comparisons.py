"""Comparisons: how far a recipe is from its reference, and whether that can be believed.

A family of pairs is declared before anything is measured. Each pair gets the difference of its
primary metric with the interval of the paired bootstrap over items and seeds together, a p-value
corrected for the whole family, the smallest difference that could have been found, McNemar's test
for every seed, and a verdict that only agreement of all of these can make. How resamples are drawn
is said in `runs`; nothing here reads a file.

The spread of three or five seeds is itself known badly, and a bootstrap does not notice: of 30
recipes no better than their reference it would find some to be. So each difference has degrees of
freedom, by how much of its variance is told by seeds; its interval is as much wider, and its
p-value at least as large, as Student's distribution of so many degrees has it.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from distilro.errors import DataError, SettingsError
from distilro.evaluation.hypotheses import (
    adjust_holm,
    compute_bootstrap_p,
    compute_mcnemar_p,
    compute_minimum_detectable,
    compute_student_p,
    count_degrees,
    find_student_quantile,
)
from distilro.evaluation.runs import Runs, RunsKey
from distilro.evaluation.verdicts import HIGHER, LOWER, UNDECIDED


@dataclass(frozen=True, order=True)
class Pair:
    """Two recipes, each with its scope, on the test set of a task."""

    task: str
    recipe: str
    scope: str
    reference: str
    reference_scope: str

    def __str__(self) -> str:
        """Name the pair as messages do."""
        sides = f"{self.recipe}/{self.scope} and {self.reference}/{self.reference_scope}"
        return f"{sides} on {self.task}"


@dataclass(frozen=True)
class Effect:
    """The difference of two Runs: its interval, p-value and minimum detectable size."""

    difference: float
    low: float
    high: float
    p: float
    minimum_detectable: float


def find_sides(pair: Pair, runs: Mapping[RunsKey, Runs]) -> tuple[Runs, Runs]:
    """Return the Runs of a pair's recipe and of its reference; a DataError names one without."""
    keys = (
        (pair.task, pair.recipe, pair.scope),
        (pair.task, pair.reference, pair.reference_scope),
    )
    for _, recipe, scope in keys:
        if (pair.task, recipe, scope) not in runs:
            raise DataError(
                f"{pair}: expected predictions of {recipe}/{scope} on the test set of {pair.task}, "
                "got none. Nothing was written. Run the stage predict for them, or take the pair "
                "out of the settings."
            )
    return runs[keys[0]], runs[keys[1]]


def measure_effect(runs: Runs, reference: Runs, confidence: float) -> Effect:
    """Compare two Runs of one test set, resample by resample, leaving out undefined ones."""
    difference = float(runs.values.mean() - reference.values.mean())
    resampled = runs.resampled - reference.resampled  # [B]
    resampled = resampled[~np.isnan(resampled)]
    error = float(resampled.std(ddof=1))
    degrees = count_degrees(error**2, _measure_seed_variances(runs, reference))
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, (tail, 1 - tail)).tolist()
    wider = find_student_quantile(1 - tail, degrees) / find_student_quantile(1 - tail, math.inf)
    p_values = [compute_bootstrap_p(difference, resampled)]
    if math.isfinite(degrees):
        p_values.append(compute_student_p(difference, error, degrees))
    return Effect(
        difference=difference,
        low=difference + wider * (low - difference),
        high=difference + wider * (high - difference),
        p=max(p_values),
        minimum_detectable=compute_minimum_detectable(error, confidence, degrees),
    )


def _measure_seed_variances(runs: Runs, reference: Runs) -> list[tuple[float, int]]:
    """Return the variance of a difference that is due to seeds, with the seeds that tell it.

    Sides with the same seeds are paired, seed by seed; else each has a part of its own. A single
    seed tells nothing.
    """
    paired = runs.seeds == reference.seeds
    sides = [runs.values - reference.values] if paired else [runs.values, reference.values]
    return [(float(side.var(ddof=1)) / len(side), len(side)) for side in sides if len(side) > 1]


def decide_verdict(effect: Effect, p_holm: float, confidence: float) -> str:
    """Return HIGHER or LOWER where all evidence agrees, else UNDECIDED.

    It takes an adjusted p-value below alpha, an interval without 0, and a difference of the
    minimum detectable size or more. The last is strict: of recipes that truly are that much
    better, it lets half through; of recipes that are no better, one in two hundred.
    """
    alpha = round(1 - confidence, 12)  # subtle: 1 - 0.95 is a little more than 0.05
    excluded = effect.low > 0 or effect.high < 0
    large = abs(effect.difference) >= effect.minimum_detectable
    if not (p_holm < alpha and excluded and large):
        return UNDECIDED
    return HIGHER if effect.difference > 0 else LOWER


def compare_family(
    pairs: Sequence[Pair],
    runs: Mapping[RunsKey, Runs],
    *,
    confidence: float,
    seeds_needed: int,
    deterministic: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Return one row per pair of the declared family, in its order, ready for JSON.

    A row is a claim if each side has `seeds_needed` seeds or more, or is a `deterministic` recipe;
    else its verdict is an indication.

    Raises:
        SettingsError: a pair stands twice, or compares a recipe with itself.
        DataError: a side of a pair has no predictions.
    """
    _check_family(pairs)
    sides = [find_sides(pair, runs) for pair in pairs]
    effects = [measure_effect(*both, confidence) for both in sides]
    adjusted = adjust_holm([effect.p for effect in effects])
    rows = []
    for pair, both, effect, p_holm in zip(pairs, sides, effects, adjusted, strict=True):
        seen = zip((pair.recipe, pair.reference), both, strict=True)
        enough = [name in deterministic or len(side.seeds) >= seeds_needed for name, side in seen]
        rows.append(
            _describe_sides(*both)
            | asdict(pair)
            | asdict(effect)
            | {"p_holm": p_holm, "verdict": decide_verdict(effect, p_holm, confidence)}
            | {"claim": all(enough)}
        )
    return rows


def compare_seeds(runs: Runs, reference: Runs) -> list[dict[str, Any]]:
    """Return McNemar's test of every seed against the reference's, on rows wholly right.

    Seeds are taken in their order, one with one; a side with a single seed meets all of the
    other's. Where both have several but not as many, those without a partner are left out.
    """
    width = max(len(runs.seeds), len(reference.seeds))
    places = [
        range(len(side.seeds)) if len(side.seeds) > 1 else [0] * width for side in (runs, reference)
    ]
    rows = []
    for here, there in zip(*places, strict=False):
        right, other = runs.correct[here], reference.correct[there]
        only_recipe, only_reference = int((right & ~other).sum()), int((other & ~right).sum())
        rows.append(
            {
                "seed": runs.seeds[here],
                "reference_seed": reference.seeds[there],
                "only_recipe": only_recipe,
                "only_reference": only_reference,
                "p": compute_mcnemar_p(only_recipe, only_reference),
            }
        )
    return rows


def _check_family(pairs: Sequence[Pair]) -> None:
    for before, after in pairwise(sorted(pairs)):
        if before == after:
            raise SettingsError(f"{after}: this pair stands twice in the family; name it once.")
    for pair in pairs:
        if (pair.recipe, pair.scope) == (pair.reference, pair.reference_scope):
            raise SettingsError(f"{pair}: a recipe is its own reference; name another one.")


def _describe_sides(runs: Runs, reference: Runs) -> dict[str, Any]:
    return {
        "test_set": runs.test_set,
        "metric": runs.metric,
        "items": runs.correct.shape[1],
        "seeds": list(runs.seeds),
        "reference_seeds": list(reference.seeds),
        "value": float(runs.values.mean()),
        "reference_value": float(reference.values.mean()),
        "mcnemar": compare_seeds(runs, reference),
    }
