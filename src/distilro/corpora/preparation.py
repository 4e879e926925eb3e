"""From a raw folder to examples: read, normalise, carve, map labels, count.

Strict: the rows of each split and the rows left out must be as many as the registry says, or
nothing is returned. Every row left out is listed with its reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from distilro.corpora.examples import Examples, Task, hash_text, identify_example
from distilro.corpora.labels import LabelMap, suggest
from distilro.corpora.readers import READERS
from distilro.corpora.registry import SPLITS, Dataset
from distilro.corpora.rows import Dropped, Reading, Row
from distilro.corpora.splits import carve
from distilro.corpora.statistics import describe_texts
from distilro.errors import DataError, SettingsError
from distilro.text import normalise


@dataclass(frozen=True)
class Prepared:
    """A dataset's examples by split, and what its summary says about them."""

    examples: dict[str, Examples]
    summary: dict[str, Any]


def prepare_dataset(
    dataset: Dataset, task: Task, folder: Path, *, reader: str, label_map: str = "default"
) -> Prepared:
    """Read a dataset's raw folder and return its examples.

    Args:
        dataset: its declaration.
        task: the task that it is for.
        folder: where fetch put its files.
        reader: the reader of the source that was fetched, a key of READERS.
        label_map: "default" or one of the dataset's alternative label maps.

    Raises:
        DataError: a row, a label or a count is not what the registry promises.
        SettingsError: the reader or the label map does not exist, or the map contradicts the task.
    """
    if reader not in READERS:
        raise SettingsError(
            f"No reader {reader!r}; the nearest one is {suggest(reader, READERS)!r}."
        )
    labels = LabelMap(
        task,
        dataset.choose_label_map(label_map),
        tuple(dataset.never_observed),
        f"registry entry {dataset.name}, label map {label_map!r}",
    )
    reading = READERS[reader](folder)
    sources = {row.source_row: row.text for rows in reading.splits.values() for row in rows}
    splits, dropped = _cut(dataset, _normalise(reading, dataset.language))
    _check_counts(dataset, splits, dropped)
    examples = {
        split: _encode(dataset, split, splits[split], labels) for split in SPLITS if split in splits
    }
    summary = {
        "dataset": dataset.name,
        "task": task.name,
        "language": dataset.language,
        "label_map": label_map,
        "reader": reader,
        "splits": {name: _describe(part, sources) for name, part in examples.items()},
        "dropped": [{"source_row": row.source_row, "reason": row.reason} for row in dropped],
    }
    return Prepared(examples, summary)


def _normalise(reading: Reading, language: str) -> Reading:
    """Normalise every text and leave out the rows that have none."""
    splits: dict[str, list[Row]] = {}
    dropped = list(reading.dropped)
    for split, rows in reading.splits.items():
        clean = [replace(row, text=normalise(row.text, language)) for row in rows]
        splits[split] = [row for row in clean if row.text]
        dropped += [Dropped(row.source_row, "no text") for row in clean if not row.text]
    return Reading(splits, dropped)


def _cut(dataset: Dataset, reading: Reading) -> tuple[dict[str, list[Row]], list[Dropped]]:
    splits = dict(reading.splits)
    if dataset.carve is not None:
        origin = dataset.carve.from_split
        if origin not in splits or set(dataset.carve.sizes) & set(splits):
            raise SettingsError(
                f"{dataset.name}: carve: cannot cut {sorted(dataset.carve.sizes)} out of "
                f"{origin!r}; the reader gives {sorted(splits)}."
            )
        splits[origin], parts = carve(splits[origin], dataset.carve.sizes, salt=dataset.carve.salt)
        splits |= parts
    return splits, reading.dropped


def _check_counts(
    dataset: Dataset, splits: Mapping[str, list[Row]], dropped: list[Dropped]
) -> None:
    got = {split: len(rows) for split, rows in splits.items()}
    if got != dict(dataset.splits):
        raise DataError(
            f"{dataset.name}: expected {dict(dataset.splits)} rows, got {got}. Nothing was kept. "
            "Fetch the files again, or correct `splits` in the registry."
        )
    if len(dropped) != dataset.dropped:
        listed = "; ".join(f"{row.source_row}: {row.reason}" for row in dropped[:5])
        raise DataError(
            f"{dataset.name}: expected {dataset.dropped} dropped rows, got {len(dropped)} "
            f"({listed}). Nothing was kept. Correct the rows, or `dropped` in the registry."
        )


def _encode(dataset: Dataset, split: str, rows: list[Row], labels: LabelMap) -> Examples:
    encoded = [labels.encode(row.labels, row.source_row) for row in rows]
    return Examples(
        task=labels.task,
        id=[identify_example(dataset.name, split, row.source_row, row.text) for row in rows],
        text_hash=[hash_text(row.text) for row in rows],
        text=[row.text for row in rows],
        text_pair=[None] * len(rows),
        lang=[dataset.language] * len(rows),
        dataset=[dataset.name] * len(rows),
        split=[split] * len(rows),
        source_row=[row.source_row for row in rows],
        target=np.stack([target for target, _observed in encoded]),
        observed=np.stack([observed for _target, observed in encoded]),
        votes=np.stack([labels.encode_votes(row.votes, row.source_row) for row in rows]),
    )


def _describe(examples: Examples, sources: Mapping[str, str]) -> dict[str, Any]:
    """Return a split's counts: rows, rows per label, rows in which a label is unobserved."""
    present = (examples.target > 0) & examples.observed
    names = examples.task.labels
    return {
        "rows": len(examples),
        "labels": dict(zip(names, present.sum(axis=0).tolist(), strict=True)),
        "unobserved": dict(zip(names, (~examples.observed).sum(axis=0).tolist(), strict=True)),
        "rows_with_several_labels": int((present.sum(axis=1) > 1).sum()),
        "texts": describe_texts(
            [sources[row] for row in examples.source_row], examples.text, examples.lang[0]
        ),
    }
