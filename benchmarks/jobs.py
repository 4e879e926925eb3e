"""Jobs: what one measured process is told, as JSON between the harness and its workers. No torch.

A job names a side: who trains, and how. Everything that must be equal on all sides is in `Plan`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from distilro.artifacts import read_json, write_json

# side -> the module that trains it, run as a process of its own
WORKERS = {
    "ours": "benchmarks.ours",
    "tuned": "benchmarks.theirs",
    "default": "benchmarks.theirs",
    "plain": "benchmarks.ours",
    "store": "benchmarks.ours",
    "teacher_in_loop": "benchmarks.ours",
    "cells_ours": "benchmarks.ours",
    "cell_trainer": "benchmarks.theirs",
    "prepare": "benchmarks.prepare",
    "teach": "benchmarks.teach",
}


@dataclass(frozen=True)
class Plan:
    """What is the same for every side of a comparison."""

    model: str  # a name of benchmarks.shapes.SHAPES
    device: str  # "cpu" or "cuda"
    threads: int
    epochs: int
    learning_rate: float
    attention_dropout: float  # of the Trainer's sides: in the encoder's config.json
    our_attention_dropout: float  # of our sides: params.yaml has none
    prepared: str  # folder of prepared examples; where a dataset is absent its lengths are drawn
    peak_tflops: float | None = None  # of the device, at the precision used; None: no MFU
    dropout: float = 0.1  # before the head
    encoder_dropout: float = 0.1  # of the states inside the encoder
    max_tokens: int = 256
    batch_examples: int = 32
    batch_tokens: int = 4096


@dataclass(frozen=True)
class Job:
    """One process: a side of one round, on sets of `data` that lie in `work`.

    Every seed is one training; all sides of a round have the same seeds. Of `round` 0 are the
    preparations, which are not measured.
    """

    part: str
    side: str
    round: int
    seeds: tuple[int, ...]
    data: tuple[str, ...]  # "<dataset>-<rows>", or "<dataset>-all"
    work: str
    plan: Plan


def name_data(dataset: str, rows: int | None) -> str:
    """Return the name of a dataset with at most `rows` training rows; None is all of them.

    >>> name_data("redv2", None), name_data("moroco", 1000)
    ('redv2-all', 'moroco-1000')
    """
    return f"{dataset}-{'all' if rows is None else rows}"


def split_name(name: str) -> tuple[str, int | None]:
    """Return the dataset and the most training rows of a name of `name_data`."""
    dataset, _, rows = name.rpartition("-")
    return dataset, None if rows == "all" else int(rows)


def write_job(path: str | Path, job: Job) -> None:
    """Write a job as JSON."""
    write_json(path, asdict(job))


def read_job(path: str | Path) -> Job:
    """Read what `write_job` wrote."""
    values: Mapping = read_json(path)
    tuples = {name: tuple(values[name]) for name in ("seeds", "data")}
    return Job(**{**values, **tuples, "plan": Plan(**values["plan"])})
