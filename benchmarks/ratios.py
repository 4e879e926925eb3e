"""Ratios of speed, round by round: what the rows of one measurement say. No torch.

A ratio above 1 is in favour of the side that is named first. The sides of one round ran one after
the other on the same machine, so that a pair has met the same conditions.
"""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

NOT_MEASURED = "not measured"


class Comparison(NamedTuple):
    """Two sides of a part, and the speed that is compared: `amount` per `time`."""

    part: str
    ours: str
    theirs: str
    amount: str = "examples"
    time: str = "seconds"


COMPARISONS = {
    "ratio_default": Comparison("trainer", "ours", "default"),
    "ratio_tuned": Comparison("trainer", "ours", "tuned"),
    "ratio_store": Comparison("store", "store", "plain"),
    "ratio_teacher_in_loop": Comparison("store", "store", "teacher_in_loop"),
    "ratio_cells": Comparison("matrix", "cells_ours", "cell_trainer", "cells", "wall_seconds"),
}


def compute_ratios(rows: Sequence[dict]) -> dict[str, dict | str]:
    """Return every comparison of `COMPARISONS`: its pairs, their median, the lowest and highest."""
    return {name: compare(rows, comparison) for name, comparison in COMPARISONS.items()}


def compare(rows: Sequence[dict], comparison: Comparison) -> dict | str:
    """Return one comparison, or "not measured" where no round has both sides.

    >>> rows = [
    ...     {"part": "trainer", "side": side, "round": 1, "examples": 100, "seconds": seconds}
    ...     for side, seconds in (("ours", 1.0), ("tuned", 2.0))
    ... ]
    >>> compare(rows, COMPARISONS["ratio_tuned"])["median"]
    2.0
    """
    ours = measure_speeds(rows, comparison.ours, comparison)
    theirs = measure_speeds(rows, comparison.theirs, comparison)
    pairs = [ours[number] / theirs[number] for number in sorted(ours.keys() & theirs.keys())]
    if not pairs:
        return NOT_MEASURED
    return {
        "of": f"{comparison.amount} per {comparison.time}",
        "ours": comparison.ours,
        "theirs": comparison.theirs,
        "pairs": pairs,
        "median": statistics.median(pairs),
        "low": min(pairs),
        "high": max(pairs),
    }


def measure_speeds(rows: Sequence[dict], side: str, comparison: Comparison) -> dict[int, float]:
    """Return the speed of a side in each round; several processes of a round count together."""
    by_round: dict[int, list[dict]] = {}
    for row in rows:
        if row["part"] == comparison.part and row["side"] == side:
            by_round.setdefault(row["round"], []).append(row)
    return {
        number: sum(row[comparison.amount] for row in taken)
        / sum(row[comparison.time] for row in taken)
        for number, taken in by_round.items()
    }
