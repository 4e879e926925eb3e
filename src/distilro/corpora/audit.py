"""The audit: copies among the rows of a scenario, and the training rows that they cost.

All datasets of a scenario are audited together, since one task's training text may be another
task's test text. Test wins: a training row that touches a validation or test row of any dataset is
to be dropped (`find_dropped`; mixtures.py enforces it). Validation rows that touch test rows, and
copies inside one split, are listed and counted only. The pairs themselves come from copies.py; the
file holds one pair per row, and in its header what was audited, by hash.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from distilro.artifacts import write_atomically
from distilro.corpora.copies import EVALUATION_SPLITS, PAIR_SCHEMA
from distilro.corpora.examples import Examples
from distilro.errors import DataError, IntegrityError

SCHEMA_VERSION = 1

_METADATA_KEY = b"distilro"


def find_dropped(audit: pa.Table) -> dict[str, tuple[str, ...]]:
    """Return each training row to drop with its reasons, such as "near copy of redv2/test".

    A row is dropped when any pair has it on the training side and a validation or test row of any
    dataset on the other.
    """
    evaluation = pa.array(EVALUATION_SPLITS)
    drop = pc.and_(
        pc.invert(pc.is_in(audit.column("split"), evaluation)),
        pc.is_in(audit.column("other_split"), evaluation),
    )
    reasons: dict[str, set[str]] = {}
    for pair in audit.filter(drop).to_pylist():
        reason = f"{pair['kind']} copy of {pair['other_dataset']}/{pair['other_split']}"
        reasons.setdefault(pair["id"], set()).add(reason)
    return {identity: tuple(sorted(reasons[identity])) for identity in sorted(reasons)}


def summarise_pairs(audit: pa.Table) -> list[dict[str, Any]]:
    """Count the pairs between every two splits that touch, and the rows on either side.

    `exact_rows` and `near_rows` count rows of (dataset, split), `touched_rows` those with either;
    `other_...` count rows of the other split; `conflicting_pairs` have labels that cannot both be
    true. Inside one split the second row of each pair is the copy: count `other_...` rows.
    """
    names = ("dataset", "split", "other_dataset", "other_split")
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for pair in audit.to_pylist():
        groups.setdefault(tuple(pair[name] for name in names), []).append(pair)
    return [
        {**dict(zip(names, group, strict=True)), **_count_pairs(groups[group])}
        for group in sorted(groups)
    ]


def summarise_dropped(audit: pa.Table, parts: Sequence[Examples]) -> dict[str, dict[str, int]]:
    """Count, for each dataset that has training rows, these and the dropped ones among them."""
    dropped = find_dropped(audit)
    counts: dict[str, dict[str, int]] = {}
    for part in parts:
        for dataset, split, identity in zip(part.dataset, part.split, part.id, strict=True):
            if split not in EVALUATION_SPLITS:
                count = counts.setdefault(dataset, {"training_rows": 0, "dropped_rows": 0})
                count["training_rows"] += 1
                count["dropped_rows"] += identity in dropped
    return dict(sorted(counts.items()))


def write_audit(
    path: str | Path, audit: pa.Table, *, jaccard: float, inputs: Mapping[str, str]
) -> None:
    """Write the pairs atomically; `inputs` maps "<dataset>/<split>" to the SHA-256 of its file."""
    header = {"version": SCHEMA_VERSION, "jaccard": jaccard, "inputs": dict(sorted(inputs.items()))}
    table = audit.replace_schema_metadata({_METADATA_KEY: json.dumps(header)})
    with write_atomically(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_audit(path: str | Path) -> pa.Table:
    """Read the pairs, refusing another schema; `read_inputs` reads what was audited."""
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} is missing; expected an audit. Run the stage audit.")
    table = pq.read_table(path)
    header = json.loads((table.schema.metadata or {}).get(_METADATA_KEY, b"{}"))
    if header.get("version") != SCHEMA_VERSION or not table.schema.equals(PAIR_SCHEMA):
        raise IntegrityError(
            f"{path}: expected an audit of version {SCHEMA_VERSION}, got version "
            f"{header.get('version')} with columns {table.schema.names}. Run the stage audit again."
        )
    return table


def read_inputs(audit: pa.Table) -> dict[str, str]:
    """Return what a table of `read_audit` covers: "<dataset>/<split>" to the file's SHA-256."""
    return json.loads(audit.schema.metadata[_METADATA_KEY])["inputs"]


def _count_pairs(pairs: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    exact = [pair for pair in pairs if pair["kind"] == "exact"]
    near = [pair for pair in pairs if pair["kind"] == "near"]
    counts = {"conflicting_pairs": sum(pair["same_labels"] is False for pair in pairs)}
    for name, chosen in (("exact", exact), ("near", near), ("touched", pairs)):
        counts[f"{name}_pairs"] = len(chosen)
        counts[f"{name}_rows"] = len({pair["id"] for pair in chosen})
        counts[f"other_{name}_rows"] = len({pair["other_id"] for pair in chosen})
    return counts
