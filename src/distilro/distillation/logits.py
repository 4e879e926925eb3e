"""The logits store: a teacher's raw outputs on a mixture, keyed by example.

Two files: `<name>.safetensors` with ids, text hashes and logits, and `<name>.json`, written last,
with everything that must fit before a logit may be believed: the teacher's weights, its tokenizer
and truncation, whether it learned the rows that it answers for, the task's labels in their order,
and the hash of the tensors. A reader that finds anything else refuses; it never guesses, fills or
skips.

Axes: N rows of the mixture, L labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from distilro.artifacts import hash_file, read_json, write_atomically, write_json
from distilro.corpora.examples import Examples, Task
from distilro.errors import IntegrityError

STORE_VERSION = 2


@dataclass(frozen=True)
class TeacherIdentity:
    """Which teacher answered: any difference makes other logits.

    `folds` is None for one model, which answers in-sample for what it learned, or k for a set of k
    fold models, of which none answers for a row that it learned (see `folds`); `weights` is then
    the hash of all theirs.
    """

    recipe: str
    scope: str
    seed: int
    weights: str  # SHA-256 of the weights file
    tokenizer: str  # SHA-256 of the tokenizer file; of config.json for a linear model
    max_tokens: int  # 0: no truncation
    folds: int | None = None


def write_logits(
    path: str | Path, *, examples: Examples, logits: np.ndarray, teacher: TeacherIdentity
) -> None:
    """Write `path` (.safetensors) and its header, atomically, the header last.

    Args:
        path: where the tensors go; the header lies beside it with the suffix .json.
        examples: the N rows that were asked.
        logits: float32 [N, L], raw outputs.
        teacher: who answered.

    Raises:
        IntegrityError: the shape is not [N, L], or a logit is not finite.
    """
    path = Path(path)
    expected = (len(examples), len(examples.task.labels))
    if logits.shape != expected or not np.isfinite(logits).all():
        raise IntegrityError(
            f"{path}: expected finite logits of shape {expected}, got shape {logits.shape} with "
            f"{int((~np.isfinite(logits)).sum())} not finite. Nothing was written."
        )
    tensors = {
        "ids": _pack_hex(examples.id),  # uint64 [N]
        "text_hashes": _pack_hex(examples.text_hash),  # uint64 [N]
        "logits": np.ascontiguousarray(logits, dtype=np.float32),  # [N, L]
    }
    with write_atomically(path) as temporary:
        save_file(tensors, temporary)
        digest = hash_file(temporary)
    header = _describe(examples.task, teacher)
    write_json(path.with_suffix(".json"), {**header, "rows": len(examples), "sha256": digest})


def read_logits(path: str | Path, *, examples: Examples, teacher: TeacherIdentity) -> np.ndarray:
    """Return the stored logits of exactly these examples, float32 [N, L], in their order.

    Raises:
        IntegrityError: another teacher, tokenizer, label order, truncation or version; in-sample
            logits where out-of-fold ones are asked for, or the other way round; other bytes than
            were written; an example that is missing or whose text differs.
    """
    path = Path(path)
    header = read_json(path.with_suffix(".json"))
    _compare_headers(path, header, _describe(examples.task, teacher))
    digest = hash_file(path)
    if digest != header["sha256"]:
        raise IntegrityError(
            f"{path}: its bytes changed since it was written: expected SHA-256 "
            f"{header['sha256']}, got {digest}. Delete it and run the stage logits again."
        )
    tensors = load_file(path)
    order = np.argsort(tensors["ids"])
    wanted = _pack_hex(examples.id)
    places = np.searchsorted(tensors["ids"], wanted, sorter=order)
    rows = order[np.minimum(places, len(order) - 1)]
    _refuse_first(path, examples, tensors["ids"][rows] != wanted, "is not in the store")
    other_text = tensors["text_hashes"][rows] != _pack_hex(examples.text_hash)
    _refuse_first(path, examples, other_text, "has another text than the one the teacher read")
    return tensors["logits"][rows]


def _describe(task: Task, teacher: TeacherIdentity) -> dict[str, Any]:
    return {
        "version": STORE_VERSION,
        "task": task.name,
        "kind": task.kind,
        "labels": list(task.labels),
        "dtype": "float32",
        "teacher": asdict(teacher),
    }


def _compare_headers(path: Path, got: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    flat_got, flat_expected = _flatten(got), _flatten(expected)
    for key, value in flat_expected.items():
        # subtle: `folds` may be None, which an absent entry is not.
        if key not in flat_got or flat_got[key] != value:
            got_value = repr(flat_got[key]) if key in flat_got else "absent"
            raise IntegrityError(
                f"{path.with_suffix('.json')}: these logits are not the ones asked for: {key} is "
                f"{got_value}, expected {value!r}. Nothing was used; delete the store and run the "
                "stage logits again."
            )


def _flatten(header: Mapping[str, Any]) -> dict[str, Any]:
    teacher = header.get("teacher") or {}
    return {
        **header,
        **{f"teacher.{key}": value for key, value in teacher.items()},
        "teacher": None,
    }


def _refuse_first(path: Path, examples: Examples, bad: np.ndarray, what: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise IntegrityError(
            f"{path}: example {examples.id[row]} ({examples.source_row[row]}) {what}; "
            f"{int(bad.sum())} of {len(examples)} examples are like it. Nothing was used; run the "
            "stage logits again."
        )


def _pack_hex(values: Sequence[str]) -> np.ndarray:
    """Return strings of 16 hex digits as uint64 [N]."""
    return np.array([int(value, 16) for value in values], dtype=np.uint64)
