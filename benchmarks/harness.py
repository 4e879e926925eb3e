"""The harness: starts one process per measured run, one at a time, and stops at the first failure.

The sides of a comparison alternate (a, b, c, a, b, c, ...), so that a machine that slows down
slows all of them. No torch.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.jobs import WORKERS, Job, Plan, write_job
from distilro.artifacts import read_json
from distilro.errors import DistilroError

_ROOT = Path(__file__).resolve().parent.parent
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_TEACHER_SEED = 1000  # no student's: they count from 1

TRAINER_SIDES = ("ours", "tuned", "default")
STORE_SIDES = ("plain", "store", "teacher_in_loop")


class WorkerError(DistilroError):
    """A measured process failed, and with it the measurement of its dataset."""


@dataclass(frozen=True)
class Harness:
    """Runs jobs of one plan in one working folder."""

    plan: Plan
    work: Path

    def measure_trainer(self, data: str, repeats: int) -> list[dict]:
        """Return the rows of ours, tuned and default on one set, `repeats` rounds of them."""
        return [
            self.run("trainer", side, number, (number,), (data,))
            for number in range(1, repeats + 1)
            for side in TRAINER_SIDES
        ]

    def measure_store(self, data: Sequence[str], repeats: int) -> list[dict]:
        """Return the rows of one multi-task model without a teacher, with a store, with a live one.

        The teacher is made first; its row, of round 0, is not among them.
        """
        self.run("store", "teach", 0, (_TEACHER_SEED,), data)
        return [
            self.run("store", side, number, (number,), data)
            for number in range(1, repeats + 1)
            for side in STORE_SIDES
        ]

    def measure_matrix(self, data: str, cells: int, repeats: int) -> list[dict]:
        """Return the rows of `cells` models, by one process of ours and by one Trainer each."""
        rows = []
        for number in range(1, repeats + 1):
            seeds = tuple(range(1, cells + 1))
            rows.append(self.run("matrix", "cells_ours", number, seeds, (data,)))
            for seed in seeds:
                rows.append(self.run("matrix", "cell_trainer", number, (seed,), (data,)))
        return rows

    def run(
        self, part: str, side: str, number: int, seeds: Sequence[int], data: Sequence[str]
    ) -> dict:
        """Run one job to its end and return its row, with the seconds of the whole process."""
        job = Job(part, side, number, tuple(seeds), tuple(data), str(self.work), self.plan)
        told, answer = self.work / "job.json", self.work / "row.json"
        answer.unlink(missing_ok=True)
        write_job(told, job)
        sys.stderr.write(f"{part}, round {number}: {side}\n")
        load, used, began = os.getloadavg()[0], _sum_processor_seconds(), time.perf_counter()
        done = subprocess.run(  # noqa: S603 - our own modules, no shell
            [sys.executable, "-m", WORKERS[side], str(told), str(answer)],
            cwd=_ROOT,
            env=self._build_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        wall_seconds = time.perf_counter() - began
        if done.returncode != 0:
            raise WorkerError(
                f"{part}, round {number}, side {side}: the process ended with "
                f"{done.returncode}. Its errors:\n{done.stderr}\nThe measurement stopped and "
                "this dataset's file was not written; mend the cause and start again."
            )
        return {
            **read_json(answer),
            "wall_seconds": wall_seconds,
            "processor_seconds": _sum_processor_seconds() - used,  # few: the machine was not ours
            "load_before": load,
        }

    def _build_environment(self) -> dict[str, str]:
        threads = dict.fromkeys(_THREAD_VARIABLES, str(self.plan.threads))
        return {
            **os.environ,
            **threads,
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(self.work / "hub"),
        }


def _sum_processor_seconds() -> float:
    """Return the processor time of all processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
