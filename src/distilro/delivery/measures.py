"""The matrix, joined over seeds: what the report shows and says about each number.

The value of a measure is the mean over its seeds. Its interval is the mean of the seeds' own
bootstrap intervals: what another draw of test items would change, and not what another seed
would; the seeds' single values are kept beside it for that. Nothing here is computed anew from
predictions.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from distilro.errors import ExportError
from distilro.evaluation.matrix import VALIDATION_SUFFIX
from distilro.evaluation.metrics import choose_primary_metric
from distilro.evaluation.scores import VARIANTS, Score, read_scores

_KEY = ("recipe", "scope", "task", "test_set", "language", "variant", "metric")


@dataclass(frozen=True)
class Measure:
    """One metric of one recipe on one test set's variant, over all seeds; NaN: not defined."""

    recipe: str
    scope: str
    task: str
    test_set: str
    language: str
    variant: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    seeds: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def defined(self) -> bool:
        """Whether every seed has a value."""
        return math.isfinite(self.value)

    @property
    def deviation(self) -> float | None:
        """Return the standard deviation of the seeds' values; None of one seed, or of no value."""
        return statistics.stdev(self.values) if self.defined and len(self.values) > 1 else None


@dataclass(frozen=True)
class TestSet:
    """The measures of one task on one test set; `primary` is the metric to show first."""

    __test__ = False  # the name is the domain's; it holds no tests

    task: str
    name: str
    language: str
    primary: str
    variants: tuple[str, ...]
    measures: tuple[Measure, ...]

    def find(self, recipe: str, scope: str, variant: str, metric: str) -> Measure | None:
        """Return one measure, or None where it was not taken."""
        return self._places.get((recipe, scope, variant, metric))

    def select(self, variant: str, metric: str) -> list[Measure]:
        """Return the measures of a variant and metric, one per recipe and scope, in order."""
        return [m for m in self.measures if (m.variant, m.metric) == (variant, metric)]

    def list_rows(self) -> list[tuple[str, str]]:
        """Return every (recipe, scope), in the matrix's order."""
        return list(dict.fromkeys((m.recipe, m.scope) for m in self.measures))

    def list_metrics(self) -> list[str]:
        """Return every metric, the primary one first, then in the matrix's order."""
        return list(dict.fromkeys((self.primary, *(m.metric for m in self.measures))))

    @cached_property
    def _places(self) -> dict[tuple[str, str, str, str], Measure]:
        return {(m.recipe, m.scope, m.variant, m.metric): m for m in self.measures}


def read_measures(path: str | Path) -> list[Measure]:
    """Read the matrix and join its rows over seeds, in the matrix's order."""
    measures = join_seeds(read_scores(path))
    if not measures:
        raise ExportError(f"{path} has no rows; expected the scores of a model or more.")
    return measures


def join_seeds(scores: Iterable[Score]) -> list[Measure]:
    """Join scores over seeds; n is the smallest of the seeds' counts."""
    groups: dict[tuple[str, ...], list[Score]] = {}
    for score in scores:
        groups.setdefault(tuple(getattr(score, name) for name in _KEY), []).append(score)
    return [_join_group(key, group) for key, group in groups.items()]


def group_test_sets(measures: Sequence[Measure]) -> list[TestSet]:
    """Return the test sets by task, Romanian first; validation sets are left out."""
    groups: dict[tuple[str, bool, str], list[Measure]] = {}
    for measure in measures:
        if not measure.test_set.endswith(VALIDATION_SUFFIX):
            key = (measure.task, measure.language != "ro", measure.test_set)
            groups.setdefault(key, []).append(measure)
    tasks = list(dict.fromkeys(measure.task for measure in measures))
    ordered = sorted(groups, key=lambda key: (tasks.index(key[0]), *key[1:]))
    return [_make_test_set(groups[key]) for key in ordered]


def _make_test_set(measures: Sequence[Measure]) -> TestSet:
    first, found = measures[0], {measure.variant for measure in measures}
    return TestSet(
        task=first.task,
        name=first.test_set,
        language=first.language,
        primary=_choose_primary(measures),
        variants=tuple(variant for variant in VARIANTS if variant in found),
        measures=tuple(measures),
    )


def _choose_primary(measures: Sequence[Measure]) -> str:
    """Return the evaluation's choice; of a test set where nothing is defined, the first metric."""
    defined = {measure.metric for measure in measures if measure.defined}
    return choose_primary_metric(defined) if defined else measures[0].metric


def _join_group(key: tuple[str, ...], scores: Sequence[Score]) -> Measure:
    scores = sorted(scores, key=lambda score: score.seed)
    return Measure(
        *key,
        value=_average([score.value for score in scores]),
        low=_average([score.low for score in scores]),
        high=_average([score.high for score in scores]),
        n=min(score.n for score in scores),
        seeds=tuple(score.seed for score in scores),
        values=tuple(score.value for score in scores),
    )


def _average(values: Sequence[float]) -> float:
    """Return the mean; NaN as soon as one value is: a seed without a value is not left out."""
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan
