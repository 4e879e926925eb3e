"""Predictions: what one model said about one test set, and the Parquet file that keeps it.

Every metric is computed from these files alone, so they hold probabilities, never logits or
decisions, beside the gold labels. The schema metadata carries the task, the cell and the number
of rows, so that a reader needs no second file. Axes: N rows, L labels in the task's order.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from distilro.artifacts import write_atomically
from distilro.corpora.examples import KINDS, Task
from distilro.errors import DataError, IntegrityError

SCHEMA_VERSION = 1
VARIANTS = ("official", "stripped", "cedilla", "upper_case", "typos")

_METADATA_KEY = b"distilro"
_CELL_FIELDS = ("recipe", "scope", "seed", "test_set", "language", "variant", "model_hash")
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


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Check and write a Parquet file of predictions, atomically.

    Raises:
        DataError: see `check_predictions`; nothing is written.
    """
    check_predictions(predictions, str(path))
    width = len(predictions.task.labels)
    columns: dict[str, pa.Array] = {"id": pa.array(list(predictions.id), pa.string())}
    for name, dtype in _ARRAYS.items():
        flat = np.ascontiguousarray(getattr(predictions, name), dtype=dtype).reshape(-1)
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(flat), width)
    header = {
        "version": SCHEMA_VERSION,
        "rows": len(predictions),
        "task": asdict(predictions.task),
        **{name: getattr(predictions, name) for name in _CELL_FIELDS},
    }
    metadata = {_METADATA_KEY: json.dumps(header, sort_keys=True)}
    with write_atomically(path) as temporary:
        pq.write_table(
            pa.table(columns).replace_schema_metadata(metadata), temporary, compression="zstd"
        )


def read_predictions(path: str | Path) -> Predictions:
    """Read and check a Parquet file of predictions.

    Raises:
        DataError: the file is absent, or its values are not those of predictions.
        IntegrityError: it is not such a file, of another version, or rows are lost.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} is missing; expected predictions. Run the stage predict.")
    try:
        table = pq.read_table(path)
        header = json.loads((table.schema.metadata or {}).get(_METADATA_KEY, b"{}"))
    except (pa.ArrowInvalid, ValueError) as error:
        raise IntegrityError(f"{path} is not a Parquet file ({error}). Predict again.") from error
    got = (header.get("version"), header.get("rows"))
    if got != (SCHEMA_VERSION, table.num_rows):
        raise IntegrityError(
            f"{path}: expected predictions of version {SCHEMA_VERSION} with {table.num_rows} rows, "
            f"got version {got[0]} with {got[1]}. Run the stage predict again."
        )
    task = header["task"]
    width = len(task["labels"])
    predictions = Predictions(
        task=Task(task["name"], task["kind"], tuple(task["labels"])),
        **{name: header[name] for name in _CELL_FIELDS},
        id=table.column("id").to_pylist(),
        **{name: _to_array(table.column(name), width, dtype) for name, dtype in _ARRAYS.items()},
    )
    check_predictions(predictions, str(path))
    return predictions


def read_official(paths: Iterable[str | Path], *, language: str = "ro") -> list[Predictions]:
    """Read files that must all hold official predictions of texts in `language`, in their order.

    Raises:
        DataError: one of them is of another variant or language, or see `read_predictions`.
        IntegrityError: see `read_predictions`.
    """
    read = []
    for path in paths:
        predictions = read_predictions(path)
        got = (predictions.variant, predictions.language)
        if got != (VARIANTS[0], language):
            raise DataError(
                f"{path}: expected {VARIANTS[0]} predictions of texts in {language!r}, got "
                f"{got[0]} ones in {got[1]!r}. Nothing was measured. Leave this file out."
            )
        read.append(predictions)
    return read


def _to_array(column: pa.ChunkedArray, width: int, dtype: type) -> np.ndarray:
    flat = column.combine_chunks().flatten()
    return flat.to_numpy(zero_copy_only=False).astype(dtype).reshape(-1, width)  # [N, L]
