"""What the report is made of: the files of a run, read and checked for what the page shows.

Strict about what is used: a missing key is an ExportError that names file and key. Fields that
the page does not show are ignored. Run records and benchmarks may be absent, since they say how a
run went and not what it found.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distilro.artifacts import read_json
from distilro.corpora.registry import Dataset, load_dataset
from distilro.delivery.layers import Flow
from distilro.errors import ExportError

EVIDENCE_VERSION = 1


@dataclass(frozen=True)
class Source:
    """A JSON object with the file (and the path of keys) it came from."""

    where: str
    values: Mapping[str, Any]

    def get(self, key: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return the value of a key that must be there."""
        if key not in self.values:
            raise ExportError(
                f"{self.where}: no key {key!r}; expected it beside "
                f"{', '.join(sorted(self.values)) or 'nothing'}. Run the stage that makes it again."
            )
        return self.values[key]

    def number(self, key: str) -> float:
        """Return the number under a key; null, which stands for what is not defined, is NaN."""
        value = self.get(key)
        if value is None:
            return math.nan
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ExportError(f"{self.where}: {key}: expected a number or null, got {value!r}.")
        return float(value)

    def open(self, key: str) -> "Source":
        """Return the object under a key."""
        return _check_object(f"{self.where}: {key}", self.get(key))

    def list(self, key: str) -> "list[Source]":
        """Return the objects of the list under a key."""
        values = self.get(key)
        if not isinstance(values, list):
            raise ExportError(f"{self.where}: {key}: expected a list, got {type(values).__name__}.")
        return [_check_object(f"{self.where}: {key}[{i}]", v) for i, v in enumerate(values)]


@dataclass(frozen=True)
class Corpus:
    """A dataset as the registry declares it, and what was prepared from it."""

    dataset: Dataset
    summary: Source


@dataclass(frozen=True)
class Timing:
    """How long the jobs of a stage ran, in seconds over all of them."""

    stage: str
    jobs: int
    seconds: float
    longest_seconds: float


@dataclass(frozen=True)
class Records:
    """What is known of how the run went; empty where nothing was recorded."""

    hardware: Sequence[Mapping[str, Any]] = ()
    versions: Sequence[Mapping[str, Any]] = ()
    threads: Sequence[int] = ()
    timings: Sequence[Timing] = field(default=())
    resumed: int = 0  # jobs that went on from a checkpoint
    partial: int = 0  # those of them of which the last part alone is in `timings`


def read_object(path: str | Path) -> Source:
    """Read a JSON object."""
    return _check_object(str(path), read_json(path))


def read_evidence(path: str | Path | None) -> Source | None:
    """Read one file of evidence (comparisons, influence ...), or None where none was made."""
    if path is None:
        return None
    source = read_object(path)
    if source.get("version") != EVIDENCE_VERSION:
        raise ExportError(
            f"{path}: expected version {EVIDENCE_VERSION}, got {source.get('version')!r}. "
            "Run the stage that makes it again."
        )
    return source


def read_corpora(registry: str | Path, summaries: Sequence[str | Path]) -> list[Corpus]:
    """Read the datasets' summaries and registry entries, by task, Romanian first."""
    corpora = []
    for path in summaries:
        summary = read_object(path)
        corpora.append(Corpus(load_dataset(registry, summary.get("dataset")), summary))
    return sorted(corpora, key=_order_corpus)


def read_flow(path: str | Path) -> Flow:
    """Read the graph of rules: nodes (`id`, `label`, perhaps `text`) and edges, pairs of ids."""
    source = read_object(path)
    nodes = source.list("nodes")
    labels = {node.get("id"): node.get("label") for node in nodes}
    notes = {node.get("id"): node.values.get("text", "") for node in nodes}
    return Flow(labels, [(start, end) for start, end in source.get("edges")], notes)


def read_records(folder: str | Path | None, benchmarks: str | Path | None) -> Records:
    """Read run records (JSON) and Snakemake's benchmarks (TSV); either folder may be absent.

    Times come from the benchmarks where there are any, since they cover every stage, and from the
    records otherwise.
    """
    records = read_run_records(folder)
    measured = _read_benchmarks(benchmarks)  # of a job's last run alone
    times = measured or [(r.get("stage"), float(r.get("seconds"))) for r in records]
    resumed = sum(bool(record.values.get("resumed")) for record in records)
    return Records(
        hardware=_list_distinct(record.get("hardware") for record in records),
        versions=_list_distinct(record.get("versions") for record in records),
        threads=sorted({record.get("threads") for record in records}),
        timings=_sum_times(times),
        resumed=resumed,
        partial=resumed if measured else sum(map(tells_last_part_alone, records)),
    )


def read_run_records(folder: str | Path | None) -> list[Source]:
    """Read every run record of a folder, in the order of their names; None: there are none."""
    return [read_object(path) for path in _list_files(folder, "*.json")]


def tells_last_part_alone(record: Source) -> bool:
    """Return whether the seconds of a record leave out those before a checkpoint.

    Older records do.
    """
    return bool(record.values.get("resumed")) and "earlier_seconds" not in record.values


def _order_corpus(corpus: Corpus) -> tuple[str, bool, str]:
    return (corpus.dataset.task, corpus.dataset.language != "ro", corpus.dataset.name)


def _read_benchmarks(folder: str | Path | None) -> list[tuple[str, float]]:
    times = []
    for path in _list_files(folder, "*.tsv"):
        stage = path.relative_to(folder).with_suffix("").parts[0]
        with path.open(encoding="utf-8", newline="") as file:
            for line, row in enumerate(csv.DictReader(file, delimiter="\t"), start=2):
                times.append((stage, _read_seconds(row, f"{path}:{line}")))
    return times


def _read_seconds(row: Mapping[str, str], where: str) -> float:
    try:
        return float(row["s"])
    except (KeyError, TypeError, ValueError):
        raise ExportError(
            f"{where}: expected seconds in the column 's', got {row.get('s')!r}. "
            "Delete the benchmark file; its job writes it again."
        ) from None


def _sum_times(times: Sequence[tuple[str, float]]) -> list[Timing]:
    stages: dict[str, list[float]] = {}
    for stage, seconds in times:
        stages.setdefault(stage, []).append(seconds)
    timings = [Timing(name, len(t), sum(t), max(t)) for name, t in stages.items()]
    return sorted(timings, key=lambda timing: (-timing.seconds, timing.stage))


def _list_distinct(values: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401 - JSON objects
    distinct: list[Mapping[str, Any]] = []
    for value in values:
        if value not in distinct:
            distinct.append(value)
    return distinct


def _list_files(folder: str | Path | None, pattern: str) -> list[Path]:
    return [] if folder is None else sorted(Path(folder).rglob(pattern))


def _check_object(where: str, values: Any) -> Source:  # noqa: ANN401 - any JSON value
    if not isinstance(values, dict):
        raise ExportError(f"{where}: expected an object, got {type(values).__name__}.")
    return Source(where, values)
