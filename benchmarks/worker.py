"""What every measured process does around its training: threads, memory, one row of JSON."""

import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.corpus import SPLITS, Split, read_split
from benchmarks.flops import compute_mfu, count_flops
from benchmarks.jobs import Job, read_job
from benchmarks.shapes import SHAPES
from distilro.artifacts import write_json
from distilro.errors import SettingsError


@dataclass(frozen=True)
class Outcome:
    """One training: what it cost, and its validation score after each epoch."""

    seconds: float
    steps: int
    padding_share: float
    scores: Sequence[float]
    precision: str
    batch_examples: int
    attention_dropout: float  # as the model that was trained says
    parameters: int  # of the encoder, without embeddings


def run_worker(train: Callable[[Job, dict[str, dict[str, Split]]], list[Outcome]]) -> None:
    """Read the job named first on the command line, train, write the row to the second name."""
    job = read_job(sys.argv[1])
    if job.plan.device == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            f"--device cuda: this build of torch ({torch.__version__}) cannot use the GPU. Nothing "
            "was measured; install another build, or measure on the CPU."
        )
    torch.set_num_threads(job.plan.threads)
    data = {
        name: {split: read_split(Path(job.work, name), split) for split in SPLITS}
        for name in job.data
    }
    before = measure_memory_mib()
    outcomes = train(job, data)
    row = describe_run(job, data, outcomes)
    row["memory_before_training_mib"] = before
    write_json(sys.argv[2], row)


def describe_run(job: Job, data: dict[str, dict[str, Split]], outcomes: Sequence[Outcome]) -> dict:
    """Return the row of a job: what was asked, and what it cost over all its trainings."""
    plan, shape, first = job.plan, SHAPES[job.plan.model], outcomes[0]
    lengths = np.concatenate([splits["train"].tokens.lengths for splits in data.values()])
    seconds = sum(outcome.seconds for outcome in outcomes)
    examples = len(lengths) * plan.epochs * len(outcomes)
    tokens = int(lengths.sum()) * plan.epochs * len(outcomes)
    flops = len(outcomes) * count_flops(
        lengths,
        epochs=plan.epochs,
        parameters=first.parameters,
        layers=shape.layers,
        hidden=shape.hidden,
    )
    return {
        "part": job.part,
        "side": job.side,
        "round": job.round,
        "seeds": list(job.seeds),
        "cells": len(outcomes),
        "data": list(job.data),
        "train_rows": len(lengths),
        "valid_rows": sum(len(splits["valid"].examples) for splits in data.values()),
        "epochs": plan.epochs,
        "threads": torch.get_num_threads(),  # as the run left it
        "precision": first.precision,
        "batch_examples": first.batch_examples,
        "attention_dropout": first.attention_dropout,
        "steps": sum(outcome.steps for outcome in outcomes),
        "seconds": seconds,
        "examples": examples,
        "examples_per_second": examples / seconds,
        "tokens": tokens,
        "tokens_per_second": tokens / seconds,
        "padding_share": float(np.mean([outcome.padding_share for outcome in outcomes])),
        "score_by_epoch": [list(map(float, outcome.scores)) for outcome in outcomes],
        "score_best": float(np.mean([max(outcome.scores) for outcome in outcomes])),
        "score_last": float(np.mean([outcome.scores[-1] for outcome in outcomes])),
        "model_flops": flops,
        "mfu": compute_mfu(flops, seconds, plan.peak_tflops),
        "peak_memory_mib": measure_memory_mib(),
        "peak_gpu_memory_mib": _measure_gpu_memory_mib(plan.device),
    }


def measure_memory_mib(status: Path = Path("/proc/self/status")) -> float:
    """Return the most memory that this process ever held, in MiB."""
    # subtle: the kernel lets ru_maxrss of a started process begin at its parent's peak, so that a
    # large harness would show through; VmHWM is the process's own. Only Linux has it.
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text("utf-8").splitlines())
        return int(fields["VmHWM"].split()[0]) / 1024  # "123 kB"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)


def _measure_gpu_memory_mib(device: str) -> float | None:
    return torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else None
