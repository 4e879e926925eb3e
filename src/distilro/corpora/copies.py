"""Copies: every pair of rows whose texts are equal or nearly so, over all splits and datasets.

Two texts are an exact copy when `text.key` makes them equal, a near copy from a given word-set
Jaccard similarity on. Not found: translations and paraphrases, which share no words. What a pair
means for training is decided in audit.py.

The first side of a pair is the one further from the test: training before validation before test,
then by dataset, split and id. Inside one split every copy is paired with the first row of its text
only, and near copies by those first rows, so that a text that is repeated a thousand times makes a
thousand pairs and not half a million.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, product

import pyarrow as pa

from distilro.corpora.examples import Examples
from distilro.corpora.near_duplicates import build_word_sets, find_similar_sets
from distilro.errors import DataError
from distilro.text import key

EVALUATION_SPLITS = ("valid", "test")

PAIR_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "dataset", "split", "task")),
        *((name, pa.string()) for name in ("other_id", "other_dataset", "other_split", "kind")),
        ("jaccard", pa.float64()),
        ("same_labels", pa.bool_()),
    ]
)


def find_pairs(parts: Sequence[Examples], *, jaccard: float) -> pa.Table:
    """Find every exact and near copy among the rows of all `parts`, in any order of them.

    Args:
        parts: examples of any tasks, datasets and splits.
        jaccard: word-set similarity from which two texts are near copies, in (0, 1].

    Returns:
        One row per pair, sorted: id, dataset, split, task, other_id, other_dataset, other_split;
        kind, "exact" or "near"; jaccard, 1 for exact copies; same_labels, null where the two
        tasks differ, else whether one labelling can be true of both rows.
    """
    rows = sorted((row for part in parts for row in _list_rows(part)), key=_place_row)
    _refuse_repeats(rows)
    members: dict[str, list[int]] = {}
    for position, row in enumerate(rows):
        members.setdefault(row.key, []).append(position)
    groups = [members[form] for form in sorted(members)]
    pairs = [(*pair, "exact", 1.0) for group in groups for pair in _pair_copies(rows, group)]
    similar = find_similar_sets(build_word_sets(sorted(members)), jaccard=jaccard)
    for left, right, value in zip(similar.left, similar.right, similar.jaccard, strict=True):
        near = _pair_groups(rows, groups[left], groups[right])
        pairs += [(*pair, "near", float(value)) for pair in near]
    return _build_table(rows, sorted(pairs))


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    dataset: str
    split: str
    task: str
    is_multi_label: bool
    key: str
    present: frozenset[str]
    observed: frozenset[str]


def _list_rows(part: Examples) -> Iterator[_Row]:
    labels = part.task.labels
    for row, (text, pair) in enumerate(zip(part.text, part.text_pair, strict=True)):
        yield _Row(
            id=part.id[row],
            dataset=part.dataset[row],
            split=part.split[row],
            task=part.task.name,
            is_multi_label=part.task.kind == "multi_label",
            key=key(text if pair is None else f"{text} {pair}"),
            present=frozenset(compress(labels, part.target[row] > 0)),
            observed=frozenset(compress(labels, part.observed[row])),
        )


def _refuse_repeats(rows: Sequence[_Row]) -> None:
    seen: dict[str, _Row] = {}
    for row in rows:
        before = seen.setdefault(row.id, row)
        if before is not row:
            places = f"{before.dataset}/{before.split} and {row.dataset}/{row.split}"
            raise DataError(
                f"Audit: the id {row.id} stands twice, in {places}; expected every id once. "
                "Nothing was written. Give every dataset once and prepare it again."
            )


def _place_row(row: _Row) -> tuple[int, str, str, str]:
    """Return what rows are sorted by: those further from the test come first."""
    nearness = 1 + EVALUATION_SPLITS.index(row.split) if row.split in EVALUATION_SPLITS else 0
    return nearness, row.dataset, row.split, row.id


def _pair_copies(rows: Sequence[_Row], group: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the pairs within a group of equal texts, each with the smaller position first."""
    splits = _part_by_split(rows, group)
    for own in splits:
        yield from ((own[0], copy) for copy in own[1:])
    for before, own in enumerate(splits):
        for other in splits[before + 1 :]:
            yield from product(own, other)


def _pair_groups(
    rows: Sequence[_Row], left: Sequence[int], right: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Yield the pairs between two groups of equal texts, each with the smaller position first."""
    for own, other in product(_part_by_split(rows, left), _part_by_split(rows, right)):
        inside = _name_split(rows[own[0]]) == _name_split(rows[other[0]])
        pairs = [(own[0], other[0])] if inside else product(own, other)
        yield from ((min(pair), max(pair)) for pair in pairs)


def _part_by_split(rows: Sequence[_Row], group: Sequence[int]) -> list[list[int]]:
    parts: dict[tuple[str, str], list[int]] = {}
    for position in group:  # ascending, so that each part ascends too
        parts.setdefault(_name_split(rows[position]), []).append(position)
    return list(parts.values())


def _name_split(row: _Row) -> tuple[str, str]:
    return row.dataset, row.split


def _agree(one: _Row, other: _Row) -> bool | None:
    """Return whether one labelling can be true of both rows, None where the tasks differ.

    A multi-class label set says that one of its labels is true, so two sets agree if they meet;
    multi-label rows agree if no label that both observe is present in one of them only.
    """
    if one.task != other.task:
        return None
    if one.is_multi_label:
        return not (one.present ^ other.present) & one.observed & other.observed
    return bool(one.present & other.present)


def _build_table(rows: Sequence[_Row], pairs: Sequence[tuple[int, int, str, float]]) -> pa.Table:
    records = [
        (
            *(one.id, one.dataset, one.split, one.task),
            *(other.id, other.dataset, other.split, kind, jaccard, _agree(one, other)),
        )
        for one, other, kind, jaccard in ((rows[a], rows[b], *rest) for a, b, *rest in pairs)
    ]
    columns = zip(*records, strict=True) if records else ([] for _ in PAIR_SCHEMA)
    return pa.table([list(column) for column in columns], schema=PAIR_SCHEMA)
