"""Task sampling: how many examples each task gives to an epoch, and which.

Pure functions of (sizes, setting, seed, epoch), so that a run can be laid out before it starts and
an interrupted one goes on where it was. An epoch always has as many examples as all tasks
together; with proportional sampling each example comes exactly once.
"""

from collections.abc import Mapping

import numpy as np

EXPONENTS = {"proportional": 1.0, "square_root": 0.5, "uniform": 0.0}


def choose_exponent(sampling: str | float, epoch: int, epochs: int) -> float:
    """Return alpha of p_t ~ N_t ** alpha for `epoch` of 1 .. epochs.

    "annealed" falls from 1 in the first epoch to 0.2 in the last, and stays 1 in a single epoch.

    Source: Stickland and Murray 2019, "BERT and PALs", section 4.1.

    >>> [round(choose_exponent("annealed", epoch, 3), 3) for epoch in (1, 2, 3)]
    [1.0, 0.6, 0.2]
    """
    if sampling == "annealed":
        return 1.0 if epochs == 1 else 1.0 - 0.8 * (epoch - 1) / (epochs - 1)
    return EXPONENTS[sampling] if isinstance(sampling, str) else float(sampling)


def allot_draws(sizes: Mapping[str, int], exponent: float) -> dict[str, int]:
    """Return how many examples each task gives to an epoch: sum(sizes) shared as N_t ** exponent.

    Whole numbers by largest remainder, ties to the task that comes first; exact at exponent 1.

    >>> allot_draws({"emotion": 100, "topic": 300}, 0.0)
    {'emotion': 200, 'topic': 200}
    """
    total = sum(sizes.values())
    weights = np.array([size**exponent for size in sizes.values()], dtype=np.float64)
    exact = total * weights / weights.sum()
    draws = np.floor(exact).astype(int)
    by_remainder = np.argsort(-(exact - draws), kind="stable")
    draws[by_remainder[: total - int(draws.sum())]] += 1
    return dict(zip(sizes, draws.tolist(), strict=True))


def draw_indices(size: int, *, start: int, count: int, seed: tuple[int, ...]) -> np.ndarray:
    """Return places start .. start + count - 1 of an endless stream of shuffled passes, int64.

    Pass p is a permutation of range(size) that depends on (seed, p) alone, so every example comes
    once before any comes twice, whatever the epochs' sizes are.
    """
    first, last = start // size, (start + count - 1) // size
    passes = [np.random.default_rng((*seed, p)).permutation(size) for p in range(first, last + 1)]
    offset = start - first * size
    return np.concatenate(passes)[offset : offset + count] if count else np.empty(0, np.int64)
