"""Whether a run agrees with a published one, cell by cell, at one level for all cells together.

Two runs of a cell on the same test items differ by their seeds alone, for the draw of items is
the same: with k_a and k_b seeds of standard deviation s, the difference of their means varies by
s^2 (1/k_a + 1/k_b). A cell agrees where the difference is within

    allowed = t(1 - (1 - confidence) / (2 m), k_a + k_b - 2) * s * sqrt(1/k_a + 1/k_b),

the prediction interval for the new mean, with s pooled over both runs (a run with one seed adds
nothing to s) and t the quantile of Student's distribution. m is the number of cells that chance
can part: by Bonferroni's inequality a faithful run agrees in all of them at once with a
probability of `confidence` or more, however the cells depend on one another.

What that holds, and what it does not:

- Same seeds in both runs make their results more alike than assumed: an error to the safe side.
- The spread itself is not tested, and an erratic run widens what is allowed: read both spreads.
- Seeds are taken to vary normally. A recipe of which some seeds collapse is beyond this check.
- A value is a step function of the items, so that equal seeds may be equal by luck: s is never
  taken below the error of rounding to one item, 1 / (n sqrt(12)).
- A deterministic recipe agrees within `TOLERANCE`, which leaves room for other library versions.
- With one seed on both sides there is no s. Then the standard error over items stands in for it.
  If items were right or wrong independently given the seed, item i with probability p_i, a mean
  over n items would vary by mean(p_i (1 - p_i)) / n <= p (1 - p) / n, which is that error squared;
  but seeds move many items together. Such a check is marked weak, as is one whose spread comes
  from the new run alone, and one that allows more than `WIDE`: with two seeds on each side t is
  so large that hardly any difference would be found, and agreement says little.
- Cells of other labels, another metric or another number of items are not comparable.

Source: Hahn and Meeker, Statistical Intervals (1991), chapter 4, prediction interval for the mean
of a future normal sample; Sheppard's correction for the variance of rounding.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import NormalDist
from typing import Any, Literal, cast

from scipy.special import stdtrit

from distilro.delivery.expectations import (
    Expectation,
    Expectations,
    list_labels,
    summarise_measures,
)
from distilro.delivery.measures import Measure

VERSION = 1
TOLERANCE = 0.005  # of a deterministic recipe; below the share of one item it asks for equality
WIDE = 0.1  # ten points: a check that allows more is weak

Verdict = Literal["agree", "extra", "not comparable", "missing", "differ"]
Check = Literal["seeds", "items", "tolerance", "none"]
VERDICTS: tuple[Verdict, ...] = ("agree", "extra", "not comparable", "missing", "differ")
CHANCE: tuple[Check, ...] = ("seeds", "items")

_ROUNDING = 1 / math.sqrt(12)


@dataclass(frozen=True)
class StandardError:
    """The standard error of a difference, with the degrees of freedom it is known with.

    `degrees` is None where it is taken as known. Where chance has no part, `value` is 0.
    """

    check: Check
    value: float = 0.0
    degrees: int | None = None


@dataclass(frozen=True)
class Finding:
    """What is said of one cell: `difference` is here minus published, None where there is none."""

    verdict: Verdict
    published: Expectation | None
    here: Expectation | None
    check: Check = "none"
    weak: bool = False
    difference: float | None = None
    allowed: float | None = None
    reason: str = ""

    @property
    def cell(self) -> Expectation:
        """Return the published cell, or the one here where nothing was published of it."""
        return cast("Expectation", self.published or self.here)


@dataclass(frozen=True)
class Verification:
    """A finding per cell, and how many of them chance could have parted."""

    scenario: str
    confidence: float
    tests: int
    findings: tuple[Finding, ...]

    @property
    def reproduced(self) -> bool:
        """Whether every published cell is there and agrees; cells beside them do not matter."""
        return all(finding.verdict in ("agree", "extra") for finding in self.findings)

    def count(self, verdict: Verdict) -> int:
        """Return the number of cells with a verdict."""
        return sum(finding.verdict == verdict for finding in self.findings)


def verify_run(expected: Expectations, measures: Sequence[Measure]) -> Verification:
    """Hold a run's measures against published expectations: published cells first, then extra."""
    deterministic = {cell.recipe for cell in expected.cells if cell.deterministic}
    cells = summarise_measures(
        measures, deterministic=deterministic, confidence=expected.confidence
    )
    here = {cell.key: cell for cell in cells}
    obstacles = _find_obstacles(expected, here, list_labels(measures))
    errors = {
        cell.key: estimate_error(cell, here[cell.key])
        for cell in expected.cells
        if cell.key in here and cell.key not in obstacles
    }
    tests = sum(error.check in CHANCE for error in errors.values())
    findings = [
        _judge(cell, here[cell.key], errors[cell.key], _split(expected.confidence, tests))
        if cell.key in errors
        else _set_aside(cell, here.get(cell.key), obstacles.get(cell.key, ""))
        for cell in expected.cells
    ]
    published = {cell.key for cell in expected.cells}
    extra = [Finding("extra", None, cell) for cell in cells if cell.key not in published]
    return Verification(expected.scenario, expected.confidence, tests, (*findings, *extra))


def estimate_error(published: Expectation, here: Expectation) -> StandardError:
    """Return the standard error of the difference between two comparable cells; see the module."""
    if published.mean is None or here.mean is None:
        return StandardError("none")
    if published.deterministic:
        return StandardError("tolerance")
    counts = len(published.seeds), len(here.seeds)
    rounding = (_ROUNDING / published.n) ** 2
    factor = 1 / counts[0] + 1 / counts[1]
    degrees = sum(counts) - 2
    if degrees == 0:
        variance = max(published.standard_error or 0.0, here.standard_error or 0.0) ** 2
        return StandardError("items", math.sqrt(factor * max(variance, rounding)))
    squares = [
        (count - 1) * (cell.standard_deviation or 0.0) ** 2
        for count, cell in zip(counts, (published, here), strict=True)
    ]
    variance = max(sum(squares) / degrees, rounding)
    return StandardError("seeds", math.sqrt(factor * variance), degrees)


def find_allowed(error: StandardError, confidence: float) -> float:
    """Return the largest difference that a faithful run keeps to with probability `confidence`.

    >>> round(find_allowed(StandardError("items", 0.01), 0.95), 4)  # 1.96 standard errors
    0.0196
    >>> round(find_allowed(StandardError("seeds", 0.01, 8), 0.95), 4)  # 2.306 of them
    0.0231
    """
    if error.check == "tolerance":
        return TOLERANCE
    tail = (1 + confidence) / 2
    if error.degrees is None:
        return NormalDist().inv_cdf(tail) * error.value
    return float(stdtrit(error.degrees, tail)) * error.value


def describe_verification(verification: Verification) -> dict[str, Any]:
    """Return it as a JSON object, with both sides of every cell."""
    return {
        "version": VERSION,
        "scenario": verification.scenario,
        "confidence": verification.confidence,
        "tests": verification.tests,
        "tolerance": TOLERANCE,
        "reproduced": verification.reproduced,
        "counts": {verdict: verification.count(verdict) for verdict in VERDICTS},
        "findings": [_describe_finding(finding) for finding in verification.findings],
    }


def _describe_finding(finding: Finding) -> dict[str, Any]:
    described = {column.name: getattr(finding, column.name) for column in fields(Finding)}
    for side in ("published", "here"):
        described[side] = described[side] and described[side].model_dump(mode="json")
    return described


def _split(confidence: float, tests: int) -> float:
    """Return the level of each of so many tests that keeps `confidence` for all (Bonferroni)."""
    return 1 - (1 - confidence) / max(1, tests)


def _find_obstacles(
    expected: Expectations,
    here: Mapping[tuple[str, ...], Expectation],
    labels: Mapping[str, tuple[str, ...]],
) -> dict[tuple[str, ...], str]:
    """Return, of the cells that both have, why those that are not comparable are not."""
    obstacles = {}
    for cell in expected.cells:
        found = here.get(cell.key)
        if found is not None:
            declared = expected.labels.get(cell.task), labels.get(cell.task)
            obstacles[cell.key] = (
                _name_difference("labels", *(", ".join(part or ()) for part in declared))
                or _name_difference("metric", cell.metric, found.metric)
                or _name_difference("items", cell.n, found.n)
                or _name_difference("defined", cell.mean is not None, found.mean is not None)
            )
    return {key: reason for key, reason in obstacles.items() if reason}


def _name_difference(what: str, published: object, here: object) -> str:
    return "" if published == here else f"{what}: {published} published, {here} here"


def _set_aside(published: Expectation, here: Expectation | None, reason: str) -> Finding:
    if here is None:
        return Finding("missing", published, None)
    return Finding("not comparable", published, here, reason=reason)


def _judge(
    published: Expectation, here: Expectation, error: StandardError, level: float
) -> Finding:
    if published.mean is None or here.mean is None:
        return Finding("agree", published, here, reason="undefined in both")
    difference = here.mean - published.mean
    allowed = find_allowed(error, level)
    return Finding(
        "agree" if abs(difference) <= allowed else "differ",
        published,
        here,
        check=error.check,
        weak=error.check in CHANCE and (len(published.seeds) == 1 or allowed > WIDE),
        difference=difference,
        allowed=allowed,
    )
