"""Intervals by the percentile bootstrap over test items.

Every item of a test set carries counts (sufficient statistics); a resample is a weighted sum of
them, so that all metrics of a thousand resamples are one matrix product and a few formulas. The
resamples depend on the seed, the name of the test set and its size alone: every model of a test
set is resampled alike, so that two of them can be compared resample by resample.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3.
Axes: N items, B resamples, C counts per item.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from distilro.errors import SettingsError

Metrics = dict[str, np.ndarray]

_WEIGHTS_AT_ONCE = 1 << 22  # values of the weight matrix in memory: 32 MiB


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are drawn: number of resamples, share of them inside, seed."""

    samples: int = 1000
    confidence: float = 0.95
    seed: int = 13

    def __post_init__(self) -> None:
        """Refuse values out of their ranges."""
        if self.samples < 1 or not 0 < self.confidence < 1 or self.seed < 0:
            raise SettingsError(
                "bootstrap: expected samples >= 1, 0 < confidence < 1 and seed >= 0, got "
                f"{self.samples}, {self.confidence} and {self.seed}."
            )


@dataclass(frozen=True)
class Interval:
    """A metric's value on all items, and the bounds between which its resamples lie."""

    value: float
    low: float
    high: float


def draw_weights(items: int, name: str, bootstrap: Bootstrap) -> Iterator[np.ndarray]:
    """Yield float64 [b, N] pieces of the B resamples of the test set `name`.

    An entry is how often the item was drawn; each row sums to N.
    """
    digest = hashlib.sha256(f"{bootstrap.seed}\x1f{name}\x1f{items}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:16], "big"))
    # subtle: drawn in fixed pieces, so that the memory bound is no part of the result.
    at_once = max(1, _WEIGHTS_AT_ONCE // max(1, items))
    for start in range(0, bootstrap.samples, at_once):
        rows = min(at_once, bootstrap.samples - start)
        drawn = generator.integers(items, size=(rows, items))
        drawn += np.arange(rows)[:, None] * items
        counts = np.bincount(drawn.reshape(-1), minlength=rows * items)
        yield counts.reshape(rows, items).astype(np.float64)


def bootstrap_intervals(
    counts: np.ndarray, compute: Callable[[np.ndarray], Metrics], name: str, bootstrap: Bootstrap
) -> dict[str, Interval]:
    """Return every metric of a test set with its percentile interval.

    `counts` is [N, C]; `compute` maps summed counts [..., C] to metrics [...]. Resamples in which
    a metric is undefined (NaN) are left out of its interval; a metric that is undefined on the
    items themselves has no interval, and one without items is undefined.
    """
    values = compute(counts.sum(axis=0))
    if len(counts) == 0:
        return {metric: Interval(*[float("nan")] * 3) for metric in values}
    sums = np.concatenate([piece @ counts for piece in draw_weights(len(counts), name, bootstrap)])
    tail = (1 - bootstrap.confidence) / 2
    intervals = {}
    for metric, resampled in compute(sums).items():
        value = float(values[metric])
        defined = resampled[~np.isnan(resampled)]
        low = high = float("nan")
        if len(defined) and not np.isnan(value):
            low, high = np.quantile(defined, (tail, 1 - tail)).tolist()
        intervals[metric] = Interval(value, low, high)
    return intervals
