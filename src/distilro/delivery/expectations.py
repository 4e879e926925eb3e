"""What a published run found, as one file that another run can be held against.

`expected.json` has a cell per recipe, scope, test set and variant, on the test set's primary
metric: its mean over seeds, their spread, the error that another draw of items would bring, and
the counts behind both. Its header names settings, data, weights, machines and library versions.
This module knows the file and how cells come from measures; how the header comes from a run's
files is in `publication.py`, and what makes two runs agree in `verification.py`.
"""

import math
import statistics
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from distilro.artifacts import write_json
from distilro.delivery.measures import Measure, group_test_sets
from distilro.errors import IntegrityError

VERSION = 1
Number = Annotated[float, Field(allow_inf_nan=False)]

_LABEL_METRIC = "f1_"


class Strict(BaseModel):
    """An object of the file: frozen, and an unknown key or another type is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Machine(Strict):
    """What jobs ran on, without a name; `gpus` is empty where none was computed on."""

    processor: str
    cores: int
    memory_gib: Number
    flags: tuple[str, ...]
    gpus: tuple[str, ...]


class Expectation(Strict):
    """One cell on one test set's variant, in its primary metric.

    `mean` is over `seeds`, None where the metric is undefined (then `n` is 0).
    `standard_deviation` is that of the seeds' values, None with one seed. `half_width` is that of
    the bootstrap interval over items, the mean over seeds, and `standard_error` the same divided
    by the normal quantile of the interval's level. `n` is the number of items. Where the recipe is
    `deterministic`, no seed makes a difference: two runs differ by their libraries alone.
    """

    recipe: str
    scope: str
    task: str
    test_set: str
    language: str
    variant: str
    metric: str
    deterministic: bool
    mean: Number | None
    standard_deviation: Number | None
    half_width: Number | None
    standard_error: Number | None
    n: Annotated[int, Field(ge=0)]
    seeds: Annotated[tuple[int, ...], Field(min_length=1)]

    @property
    def key(self) -> tuple[str, ...]:
        """Return what makes it the same cell in another run, whatever metric it is taken in."""
        model = (self.recipe, self.scope, self.task)
        return (*model, self.test_set, self.language, self.variant)


class Expectations(Strict):
    """A published run: its cells, and what they were made with.

    `confidence` is the level of the bootstrap intervals, and the one a run is verified at.
    `mixtures` is <task>/<stage> -> hash of the training set; `models` is
    <recipe>/<scope>/seed<k> -> hash of the weights; `labels` is task -> its labels, sorted.
    """

    version: Literal[1]
    scenario: str
    settings_hash: str
    settings: dict[str, Any]
    confidence: Annotated[float, Field(gt=0, lt=1)]
    machines: tuple[Machine, ...]
    versions: tuple[dict[str, str], ...]
    mixtures: dict[str, str]
    models: dict[str, str]
    labels: dict[str, tuple[str, ...]]
    cells: Annotated[tuple[Expectation, ...], Field(min_length=1)]


def summarise_measures(
    measures: Sequence[Measure], *, deterministic: Collection[str], confidence: float
) -> list[Expectation]:
    """Return every cell of every test set in its primary metric; validation sets are left out.

    `deterministic` are recipes; `confidence` is the level of the measures' intervals.
    """
    quantile = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    return [
        _summarise(measure, quantile, deterministic=measure.recipe in deterministic)
        for test_set in group_test_sets(measures)
        for variant in test_set.variants
        for measure in test_set.select(variant, test_set.primary)
    ]


def list_labels(measures: Iterable[Measure]) -> dict[str, tuple[str, ...]]:
    """Return task -> its labels, sorted: those that have an F1 of their own."""
    labels: dict[str, set[str]] = {}
    for measure in measures:
        found = labels.setdefault(measure.task, set())
        if measure.metric.startswith(_LABEL_METRIC):
            found.add(measure.metric.removeprefix(_LABEL_METRIC))
    return {task: tuple(sorted(found)) for task, found in labels.items()}


def write_expectations(path: str | Path, expectations: Expectations) -> None:
    """Write them as JSON, atomically."""
    write_json(path, expectations.model_dump(mode="json"))


def read_expectations(path: str | Path) -> Expectations:
    """Read published expectations.

    Raises:
        IntegrityError: the file is absent, of another version or shape, or has a cell twice.
    """
    try:
        expectations = Expectations.model_validate_json(Path(path).read_bytes())
    except FileNotFoundError:
        raise IntegrityError(
            f"{path} is missing; expected what `distilro publish` writes. Name the expected.json "
            "of a published run."
        ) from None
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise IntegrityError(
            f"{path}: expected what a run of version {VERSION} published, got {faults}. Nothing "
            "was verified; fetch the file again, or publish the run again."
        ) from None
    keys = [cell.key for cell in expectations.cells]
    twice = sorted({" / ".join(key) for key in keys if keys.count(key) > 1})
    if twice:
        raise IntegrityError(
            f"{path}: expected every cell once, got twice: {', '.join(twice)}. Nothing was "
            "verified; publish the run again."
        )
    return expectations


def _summarise(measure: Measure, quantile: float, *, deterministic: bool) -> Expectation:
    half_width = (measure.high - measure.low) / 2  # NaN where no resample was defined
    bounded = measure.defined and math.isfinite(half_width)
    return Expectation(
        recipe=measure.recipe,
        scope=measure.scope,
        task=measure.task,
        test_set=measure.test_set,
        language=measure.language,
        variant=measure.variant,
        metric=measure.metric,
        deterministic=deterministic,
        mean=measure.value if measure.defined else None,
        standard_deviation=measure.deviation,
        half_width=half_width if bounded else None,
        standard_error=half_width / quantile if bounded else None,
        n=measure.n,
        seeds=measure.seeds,
    )
