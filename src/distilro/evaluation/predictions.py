"""Predictions: what one model said about the test sets of a task, and the Parquet file of them.

Every metric is computed from these files alone, so they hold probabilities, never logits or
decisions, beside the gold labels. A file holds every role of a task (roles.py), each in a row
group of its own, so that a reader of one role reads no other. The schema metadata carries the
task, the cell and the rows of each role, so that a reader needs no second file. What a role must
hold is not said here. Axes: N rows, L labels in the task's order.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from distilro.artifacts import write_atomically
from distilro.corpora.examples import KINDS, Task
from distilro.errors import DataError, IntegrityError
from distilro.progress import show_progress

SCHEMA_VERSION = 2
VARIANTS = ("official", "stripped", "cedilla", "upper_case", "typos")

_METADATA_KEY = b"distilro"
_MODEL_FIELDS = ("recipe", "scope", "seed", "model_hash")
_ROLE_FIELDS = ("test_set", "language", "variant")
_ARRAYS = {"probabilities": np.float32, "gold": np.float32, "observed": bool}
_SUM_TOLERANCE = 1e-3  # a float32 softmax is far closer; sigmoids in its place are far off


@dataclass(frozen=True)
class Predictions:
    """The probabilities of one model (`recipe`, `scope`, `seed`) for one test set.

    `variant` says what was shown to the model: "official", the texts as published, or the
    perturbation of them that it names (corpora/perturbations.py).
    `gold` and `observed` mean what `target` and `observed` mean in Examples: a multi-class row may
    hold a set of labels, a multi-label entry may be unobserved.
    """

    task: Task
    recipe: str
    scope: str
    seed: int
    test_set: str
    language: str
    variant: str
    model_hash: str
    id: Sequence[str]
    probabilities: np.ndarray = field(repr=False)  # float32 [N, L], in [0, 1]
    gold: np.ndarray = field(repr=False)  # float32 [N, L], 0 or 1
    observed: np.ndarray = field(repr=False)  # bool [N, L]

    def __len__(self) -> int:
        """Return N."""
        return len(self.id)


def check_predictions(predictions: Predictions, where: str) -> None:
    """Raise DataError unless rows, shapes and values are those of predictions."""
    expected = (len(predictions), len(predictions.task.labels))
    for name in _ARRAYS:
        shape = getattr(predictions, name).shape
        if shape != expected:
            raise DataError(f"{where}: {name} must have shape {expected}, got {shape}.")
    if len(predictions) == 0 or len(set(predictions.id)) != len(predictions):
        raise DataError(f"{where}: expected one row or more with unique ids; predict again.")
    if predictions.task.kind not in KINDS or predictions.variant not in VARIANTS:
        raise DataError(
            f"{where}: expected a kind of {KINDS} and a variant of {VARIANTS}, got "
            f"{predictions.task.kind!r} and {predictions.variant!r}."
        )
    if not np.isin(predictions.gold, (0, 1)).all():
        raise DataError(f"{where}: gold labels must be 0 or 1.")
    check_probabilities(predictions.probabilities, where)
    if predictions.task.kind == "multi_class":
        _check_classes(predictions, where)


def check_probabilities(probabilities: np.ndarray, where: str) -> None:
    """Raise DataError unless every value is a finite number in [0, 1]: logits are refused."""
    wrong = ~((probabilities >= 0) & (probabilities <= 1))  # NaN compares False, so it is wrong
    if wrong.any():
        row, label = (int(axis[0]) for axis in np.nonzero(wrong))
        raise DataError(
            f"{where}: expected probabilities in [0, 1], got {probabilities[row, label]} in row "
            f"{row}, label {label} ({int(wrong.sum())} such values). Were logits given?"
        )


def _check_classes(predictions: Predictions, where: str) -> None:
    sums = predictions.probabilities.sum(axis=1)
    if (np.abs(sums - 1) > _SUM_TOLERANCE).any():
        row = int(np.argmax(np.abs(sums - 1)))
        raise DataError(
            f"{where}: the probabilities of a multi-class row must sum to 1, got {sums[row]} in "
            f"row {predictions.id[row]}. Use a softmax."
        )
    if not predictions.observed.all() or not predictions.gold.any(axis=1).all():
        raise DataError(
            f"{where}: a multi-class row needs a gold label, and all its labels are observed."
        )


def write_predictions(path: str | Path, parts: Mapping[str, Predictions]) -> None:
    """Check and write what one model says for a task, role -> predictions, atomically.

    Raises:
        DataError: there is no part, or those of several models; or see `check_predictions`.
    """
    for role, part in parts.items():
        check_predictions(part, f"{path}, {role}")
    _check_one_model(path, parts)
    first = next(iter(parts.values()))
    roles = [
        {"role": role, "rows": len(part), **_choose(part, _ROLE_FIELDS)}
        for role, part in parts.items()
    ]
    header = {"version": SCHEMA_VERSION, "task": asdict(first.task), "roles": roles}
    header |= _choose(first, _MODEL_FIELDS)
    tables = [_to_table(role, part) for role, part in parts.items()]
    schema = tables[0].schema.with_metadata({_METADATA_KEY: json.dumps(header, sort_keys=True)})
    with (
        write_atomically(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for table in tables:
            writer.write_table(table, row_group_size=len(table))


def read_predictions(
    path: str | Path, roles: Collection[str] | None = None
) -> dict[str, Predictions]:
    """Read and check what a file holds of `roles`, or all of it, in the order of the file.

    Raises:
        DataError: the file or one of `roles` is absent, or see `check_predictions`.
        IntegrityError: it is not such a file, of another version, or rows are lost.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} is missing; expected predictions. Run the stage predict.")
    try:
        with pq.ParquetFile(path) as file:
            header = _read_header(file, path)
            told = [one["role"] for one in header["roles"]]
            if absent := sorted(set(roles or ()) - set(told)):
                raise DataError(
                    f"{path}: expected predictions of {absent}, got those of {told}. Run the stage "
                    "predict again."
                )
            wanted = [n for n, role in enumerate(told) if roles is None or role in roles]
            tables = {n: file.read_row_group(n, ["id", *_ARRAYS]) for n in wanted}
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise IntegrityError(f"{path} is not whole Parquet ({error}). Predict again.") from error
    parts = {told[n]: _to_predictions(table, header, n) for n, table in tables.items()}
    for role, part in parts.items():
        check_predictions(part, f"{path}, {role}")
    return parts


def list_roles(path: str | Path) -> list[str]:
    """Return the roles that a file holds, in its order, without reading a prediction.

    Raises:
        IntegrityError: it is not such a file, or of another version.
    """
    path = Path(path)
    try:
        with pq.ParquetFile(path) as file:
            return [one["role"] for one in _read_header(file, path)["roles"]]
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise IntegrityError(f"{path} is not whole Parquet ({error}). Predict again.") from error


def read_official(
    paths: Sequence[str | Path], *roles: str, language: str = "ro"
) -> Iterator[tuple[Predictions, ...]]:
    """Yield the parts of each file in the order of `roles`, one file at a time in memory.

    Raises:
        DataError: a part is no official one of texts in `language`, or see `read_predictions`.
        IntegrityError: see `read_predictions`.
    """
    with show_progress(len(paths), what="reading predictions", unit="file") as bar:
        for path in paths:
            parts = read_predictions(path, roles)
            for role, part in parts.items():
                if (part.variant, part.language) != (VARIANTS[0], language):
                    raise DataError(
                        f"{path}, {role}: expected {VARIANTS[0]} predictions of texts in "
                        f"{language!r}, got {part.variant} ones in {part.language!r}. Nothing was "
                        "measured. Run the stage predict again."
                    )
            yield tuple(parts[role] for role in roles)
            bar.update()


def _check_one_model(path: str | Path, parts: Mapping[str, Predictions]) -> None:
    models = [(part.task, *_choose(part, _MODEL_FIELDS).values()) for part in parts.values()]
    if not models or any(model != models[0] for model in models):
        raise DataError(
            f"{path}: expected predictions of one model for one task, got those of "
            f"{list(dict.fromkeys(models))}. Nothing was written. Write a file for each."
        )


def _choose(part: Predictions, names: Sequence[str]) -> dict[str, object]:
    return {name: getattr(part, name) for name in names}


def _to_table(role: str, part: Predictions) -> pa.Table:
    ids = pa.array(list(part.id), pa.string())
    columns: dict[str, pa.Array] = {"role": pa.repeat(role, len(part)), "id": ids}
    for name, dtype in _ARRAYS.items():
        flat = np.ascontiguousarray(getattr(part, name), dtype=dtype).reshape(-1)
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(flat), len(part.task.labels))
    return pa.table(columns)


def _read_header(file: pq.ParquetFile, path: Path) -> dict:
    header = json.loads((file.schema_arrow.metadata or {}).get(_METADATA_KEY, b"{}"))
    told = {one["role"]: one["rows"] for one in header.get("roles", ())}
    rows = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    if header.get("version") != SCHEMA_VERSION or list(told.values()) != rows:
        raise IntegrityError(
            f"{path}: expected predictions of version {SCHEMA_VERSION} with {rows} rows, got "
            f"version {header.get('version')} with {told}. Run the stage predict again."
        )
    return header


def _to_predictions(table: pa.Table, header: dict, number: int) -> Predictions:
    task, role = header["task"], header["roles"][number]
    width = len(task["labels"])
    return Predictions(
        task=Task(task["name"], task["kind"], tuple(task["labels"])),
        **{name: header[name] for name in _MODEL_FIELDS},
        **{name: role[name] for name in _ROLE_FIELDS},
        id=table.column("id").to_pylist(),
        **{name: _to_array(table.column(name), width, dtype) for name, dtype in _ARRAYS.items()},
    )


def _to_array(column: pa.ChunkedArray, width: int, dtype: type) -> np.ndarray:
    flat = column.combine_chunks().flatten()
    return flat.to_numpy(zero_copy_only=False).astype(dtype).reshape(-1, width)  # [N, L]
