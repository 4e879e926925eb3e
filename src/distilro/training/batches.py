"""Batches: texts of about equal length together, under a budget of tokens and of examples.

Padding is what a batch costs beyond its real tokens. Sorting all texts by length would remove it
but would show the model short texts first; so an epoch is shuffled, cut into pools, sorted inside
each pool, cut into batches, and the batches are shuffled. The order depends on the seed alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from distilro.modeling.ragged import cut_by_tokens
from distilro.training.sampling import allot_draws, choose_exponent, draw_indices

_POOL_BATCHES = 50  # measured on REDv2 lengths: 0.97 of the tokens are real, as with a full sort


@dataclass(frozen=True)
class BatchLimits:
    """What a batch may hold at most; `tokens` counts padding."""

    examples: int
    tokens: int


@dataclass(frozen=True)
class Batch:
    """One step's examples: all of one task, at integer positions `rows` of its training set.

    `share` is what one example's loss is multiplied by: 1 / mean batch size of the epoch. Thus an
    example weighs the same in a small batch as in a large one, and as much in a task of long texts
    as in one of short texts.
    """

    task: str
    rows: np.ndarray  # int64 [B]
    share: float


def group_by_length(
    rows: np.ndarray, lengths: np.ndarray, limits: BatchLimits, rng: np.random.Generator
) -> list[np.ndarray]:
    """Cut `rows` into batches of about equal length; every row comes out as often as it went in.

    Args:
        rows: int64 [n], positions, repeats allowed.
        lengths: int64 [N], tokens of every position.
        limits: what a batch may hold; a single longer text is a batch of its own.
        rng: the source of all randomness.
    """
    shuffled = rng.permutation(rows)
    pool = _POOL_BATCHES * limits.examples
    batches: list[np.ndarray] = []
    for start in range(0, len(shuffled), pool):
        part = shuffled[start : start + pool]
        by_length = part[np.argsort(lengths[part], kind="stable")]
        cut = cut_by_tokens(by_length, lengths, limits.tokens, most_texts=limits.examples)
        batches.extend(cut)
    return [batches[place] for place in rng.permutation(len(batches))]


def plan_epochs(
    lengths: Mapping[str, np.ndarray],
    *,
    sampling: str | float,
    epochs: int,
    limits: BatchLimits,
    seed: int,
) -> list[list[Batch]]:
    """Lay out every epoch of a training: which examples of which task, step by step.

    Args:
        lengths: task -> int64 [N_t], tokens of each of its examples.
        sampling: a name or an exponent; see `choose_exponent`.
        epochs: number of epochs.
        limits: what a batch may hold.
        seed: the run's seed; the same seed gives the same plan.
    """
    sizes = {task: len(values) for task, values in lengths.items()}
    drawn = dict.fromkeys(sizes, 0)
    plan = []
    for epoch in range(1, epochs + 1):
        counts = allot_draws(sizes, choose_exponent(sampling, epoch, epochs))
        rng = np.random.default_rng((seed, epoch))
        groups: list[tuple[str, np.ndarray]] = []
        for place, (task, count) in enumerate(counts.items()):
            rows = draw_indices(sizes[task], start=drawn[task], count=count, seed=(seed, place))
            drawn[task] += count
            cut = group_by_length(rows, lengths[task], limits, rng)
            groups.extend((task, group) for group in cut)
        share = len(groups) / sum(counts.values())
        order = rng.permutation(len(groups))
        plan.append([Batch(*groups[position], share) for position in order])
    return plan


def measure_padding(plan: Sequence[Sequence[Batch]], lengths: Mapping[str, np.ndarray]) -> float:
    """Return the share of real tokens among all tokens that the plan's batches hold, in (0, 1]."""
    real = padded = 0
    for batch in (batch for epoch in plan for batch in epoch):
        taken = lengths[batch.task][batch.rows]
        real += int(taken.sum())
        padded += int(taken.max()) * len(taken)
    return real / padded
