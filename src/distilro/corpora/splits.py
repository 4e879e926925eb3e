"""Cutting validation and test splits out of a split, where the publisher gave none.

Rows whose texts count as copies (`text.key`) stay together, every stratum gives its share, and the
order of a salted hash decides: the same salt draws the same rows, whatever order they come in.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from distilro.corpora.rows import Row
from distilro.errors import DataError
from distilro.text import key


def carve(
    rows: Sequence[Row], sizes: Mapping[str, float], *, salt: str
) -> tuple[list[Row], dict[str, list[Row]]]:
    """Return the rows that are left, in their order, and each new split's rows, in theirs.

    Args:
        rows: the rows of one split, with normalised texts.
        sizes: new split -> its number of rows (1 or more) or its share of `rows` (below 1).
        salt: of the hash order.

    Raises:
        DataError: a size cannot be met without tearing copies apart.
    """
    groups = defaultdict(list)
    for position, row in enumerate(rows):
        groups[key(row.text)].append(position)
    order = sorted(groups.values(), key=lambda group: _hash(salt, key(rows[group[0]].text)))
    by_stratum: dict[str, list[list[int]]] = defaultdict(list)
    for group in order:
        by_stratum[min(rows[position].stratum for position in group)].append(group)
    population = {name: sum(map(len, groups)) for name, groups in sorted(by_stratum.items())}
    taken: dict[int, str] = {}
    for split, size in sizes.items():
        wanted = round(size * len(rows)) if size < 1 else int(size)
        for stratum, quota in share_out(wanted, population).items():
            _take(by_stratum[stratum], quota, split, taken)
    parts = {
        split: [row for position, row in enumerate(rows) if taken.get(position) == split]
        for split in sizes
    }
    return [row for position, row in enumerate(rows) if position not in taken], parts


def share_out(wanted: int, population: Mapping[str, int]) -> dict[str, int]:
    """Share `wanted` rows among strata in proportion to their sizes, by largest remainder.

    >>> share_out(5, {"a": 60, "b": 40, "c": 20})
    {'a': 2, 'b': 2, 'c': 1}
    """
    total = sum(population.values())
    if not 0 < wanted < total:
        raise DataError(f"Cannot carve {wanted} rows out of {total}; correct the registry's sizes.")
    exact = {name: wanted * count / total for name, count in population.items()}
    shares = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (shares[name] - exact[name], name))
    for name in by_remainder[: wanted - sum(shares.values())]:
        shares[name] += 1
    return shares


def _take(groups: list[list[int]], quota: int, split: str, taken: dict[int, str]) -> None:
    """Give the first groups that fit into the quota to `split`; leave the others."""
    left = []
    for group in groups:
        if len(group) <= quota:
            quota -= len(group)
            taken.update(dict.fromkeys(group, split))
        else:
            left.append(group)
    if quota:
        raise DataError(f"Carving {split}: {quota} rows cannot be found without parting copies.")
    groups[:] = left


def _hash(salt: str, text: str) -> str:
    return hashlib.sha256(f"{salt}\x1f{text}".encode()).hexdigest()
