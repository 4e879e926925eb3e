"""Examples: the rows that every later stage reads, and their Parquet file.

One file holds rows of one task. Its schema metadata carries the task, its kind and the ordered
labels, so that a reader needs no second file. Axes: N rows, L labels in the task's order.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from distilro.artifacts import write_atomically
from distilro.errors import DataError, IntegrityError

SCHEMA_VERSION = 1
KINDS = ("multi_class", "multi_label")
_METADATA_KEY = b"distilro"
_TEXT_COLUMNS = ("id", "text_hash", "text", "text_pair", "lang", "dataset", "split", "source_row")


@dataclass(frozen=True)
class Task:
    """What is predicted: a name, a kind (`KINDS`) and the label space in its order."""

    name: str
    kind: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Examples:
    """Rows of one task, column by column.

    `target[i, j]` is 1 where label j is present. In a multi-class task the present labels are a
    set of which exactly one is true (usually a single one) and everything is observed; in a
    multi-label task `observed[i, j]` is False where nobody said whether label j is present.
    `votes[i, j]` is the share of annotators who chose label j, NaN where a row has no votes.
    """

    task: Task
    id: Sequence[str]
    text_hash: Sequence[str]
    text: Sequence[str]
    text_pair: Sequence[str | None]
    lang: Sequence[str]
    dataset: Sequence[str]
    split: Sequence[str]
    source_row: Sequence[str]
    target: np.ndarray  # float32 [N, L]
    observed: np.ndarray  # bool [N, L]
    votes: np.ndarray = field(repr=False)  # float32 [N, L]

    def __len__(self) -> int:
        """Return N."""
        return len(self.id)

    def select(self, rows: np.ndarray) -> "Examples":
        """Return the rows at integer positions `rows`, in that order."""
        columns = {
            name: [getattr(self, name)[row] for row in rows.tolist()] for name in _TEXT_COLUMNS
        }
        return replace(
            self,
            **columns,
            target=self.target[rows],
            observed=self.observed[rows],
            votes=self.votes[rows],
        )


def hash_text(text: str) -> str:
    """Return 16 hex digits of SHA-256 over a normalised text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def identify_example(dataset: str, split: str, source_row: str, text: str) -> str:
    """Return the id of a row: 16 hex digits over where it stands and its normalised text."""
    key = "\x1f".join((dataset, split, source_row, text))
    return hashlib.sha256(key.encode("utf-8")).hexdigest()[:16]


def concatenate(parts: Sequence[Examples]) -> Examples:
    """Join examples of one task; at least one part, all with the same task."""
    tasks = {part.task for part in parts}
    if len(tasks) != 1:
        raise DataError(f"Cannot join examples of different tasks: {sorted(t.name for t in tasks)}")
    columns = {
        name: [value for part in parts for value in getattr(part, name)] for name in _TEXT_COLUMNS
    }
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("target", "observed", "votes")
    }
    return Examples(task=parts[0].task, **columns, **arrays)


def join_distinct(parts: Sequence[Examples]) -> Examples:
    """Join examples of one task; a row that several parts hold comes once."""
    joined = concatenate(parts)
    first = {identity: row for row, identity in reversed(list(enumerate(joined.id)))}
    return joined.select(np.array(sorted(first.values()), dtype=np.int64))


def check_examples(examples: Examples, where: str) -> None:
    """Raise DataError unless ids are unique, texts are filled and every row has a target."""
    if len(examples) == 0:
        raise DataError(f"{where}: no rows at all; expected at least one.")
    seen: set[str] = set()
    for row, identity in enumerate(examples.id):
        if identity in seen:
            raise DataError(f"{where}: id {identity} stands twice ({examples.source_row[row]}).")
        seen.add(identity)
        if not examples.text[row].strip():
            raise DataError(f"{where}: row {examples.source_row[row]} has no text.")
    present = (examples.target > 0) & examples.observed
    if examples.task.kind == "multi_class" and not examples.observed.all():
        raise DataError(f"{where}: a multi-class task has unobserved labels; use label sets.")
    without = ~present.any(axis=1) & examples.observed.all(axis=1)
    if examples.task.kind == "multi_class" and without.any():
        row = int(np.flatnonzero(without)[0])
        raise DataError(f"{where}: row {examples.source_row[row]} has no label.")


def write_examples(path: str | Path, examples: Examples) -> None:
    """Check and write a Parquet file of examples, atomically."""
    check_examples(examples, str(path))
    width = len(examples.task.labels)
    columns = {name: pa.array(list(getattr(examples, name)), pa.string()) for name in _TEXT_COLUMNS}
    columns["target"] = _to_lists(examples.target.astype(np.float32), width)
    columns["observed"] = _to_lists(examples.observed.astype(bool), width)
    columns["votes"] = _to_lists(examples.votes.astype(np.float32), width)
    metadata = {
        "version": SCHEMA_VERSION,
        "task": examples.task.name,
        "kind": examples.task.kind,
        "labels": list(examples.task.labels),
    }
    table = pa.table(columns).replace_schema_metadata({_METADATA_KEY: json.dumps(metadata)})
    with write_atomically(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_examples(path: str | Path) -> Examples:
    """Read a Parquet file of examples, refusing another schema version."""
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} is missing; expected examples. Run the stage that makes it.")
    table = pq.read_table(path)
    header = json.loads((table.schema.metadata or {}).get(_METADATA_KEY, b"{}"))
    if header.get("version") != SCHEMA_VERSION:
        raise IntegrityError(
            f"{path}: expected examples of version {SCHEMA_VERSION}, got "
            f"{header.get('version')}. Run the stage that makes it again."
        )
    task = Task(header["task"], header["kind"], tuple(header["labels"]))
    columns = {name: table.column(name).to_pylist() for name in _TEXT_COLUMNS}
    arrays = {
        name: _from_lists(table.column(name), len(task.labels), dtype)
        for name, dtype in (("target", np.float32), ("observed", bool), ("votes", np.float32))
    }
    return Examples(task=task, **columns, **arrays)


def _to_lists(values: np.ndarray, width: int) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))  # [N * L]
    return pa.FixedSizeListArray.from_arrays(flat, width)


def _from_lists(column: pa.ChunkedArray, width: int, dtype: type) -> np.ndarray:
    flat = column.combine_chunks().flatten()
    return flat.to_numpy(zero_copy_only=False).astype(dtype).reshape(-1, width)  # [N, L]
