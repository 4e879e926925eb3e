"""One command: measure, write benchmarks/results/<name>.json, print the tables.

    python -m benchmarks.run                                   # everything, on the CPU
    python -m benchmarks.run --part trainer --data redv2       # one part on one dataset
    python -m benchmarks.run --device cuda --model base        # on a GPU

`trainer`: our engine against the Trainer tuned and at its defaults. `store`: a multi-task model
without a teacher, taught from a warm logits store, and with the teacher in the loop. `matrix`: many
small cells by one process of ours, against one Trainer process each. Each dataset makes a file of
its own; `store` (always on both tasks) and `matrix` go into the first one's.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Harness
from benchmarks.jobs import Plan, name_data
from benchmarks.record import build_result
from benchmarks.shapes import SHAPES
from benchmarks.table import RESULTS, render_results
from distilro.artifacts import write_json
from distilro.devices import claim_device, describe_hardware
from distilro.errors import DistilroError, SettingsError

PARTS = ("trainer", "store", "matrix")
DATASETS = ("redv2", "moroco")

# Training rows where --rows does not say: a whole run of `all` fits into 25 minutes on two cores.
TRAINER_ROWS = {"redv2": None, "moroco": 1000}
STORE_ROWS = 1000  # of each task
CELL_ROWS = 500


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--part", choices=(*PARTS, "all"), default="all")
    add("--model", choices=tuple(SHAPES), default="small")
    add("--data", choices=DATASETS, nargs="+", default=list(DATASETS))
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--threads", type=int, default=describe_hardware()["cores"], help="of every process")
    add("--repeats", type=int, default=3, help="rounds; each runs every side once")
    add("--epochs", type=int, default=1)
    add("--rows", type=int, help="most training rows of every part")
    add("--cells", type=int, default=4, help="models of the part matrix")
    add("--learning-rate", type=float, help="of all sides; default: the model's")
    add("--attention-dropout", type=float, default=0.1, help="of the Trainer's sides, as BERT's")
    add("--our-attention-dropout", type=float, default=0.0, help="of our sides, as params.yaml's")
    add("--peak-tflops", type=float, help="of the device at its precision; without it, no MFU")
    add("--prepared", type=Path, default=Path("data/prepared"), help="prepared examples, if any")
    add("--results", type=Path, default=RESULTS, help="folder to write to")
    add("--name", help="of the files; default: device-model")
    return parser


def measure(arguments: argparse.Namespace, work: Path) -> Iterator[tuple[str, dict]]:
    """Measure what was asked for; yield a file name and a result for each dataset."""
    plan = _build_plan(arguments)
    harness = Harness(plan, work)
    parts = PARTS if arguments.part == "all" else (arguments.part,)
    sets = {name: name_data(name, arguments.rows or TRAINER_ROWS[name]) for name in arguments.data}
    mixed = [name_data(name, arguments.rows or STORE_ROWS) for name in DATASETS]
    small = name_data(arguments.data[0], arguments.rows or CELL_ROWS)
    used = {
        "trainer": list(sets.values()),
        "store": mixed,
        "matrix": [small],
    }
    wanted = dict.fromkeys(name for part in parts for name in used[part])
    prepared = harness.run("prepare", "prepare", 0, (13,), tuple(wanted))
    for place, (name, data) in enumerate(sets.items()):
        rows: list[dict] = []
        if "trainer" in parts:
            rows += harness.measure_trainer(data, arguments.repeats)
        if place == 0 and "store" in parts:
            rows += harness.measure_store(mixed, arguments.repeats)
        if place == 0 and "matrix" in parts:
            rows += harness.measure_matrix(small, arguments.cells, arguments.repeats)
        if rows:
            settings = {"repeats": arguments.repeats, "cells": arguments.cells}
            texts = prepared["texts"][name]
            result = build_result(plan, {"name": name, "texts": texts}, settings, rows)
            yield _name_file(arguments, name), result


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, print; return the exit code."""
    parsed = build_parser().parse_args(arguments)
    results: list[dict] = []
    try:
        with (
            _claim_one(parsed.device),
            tempfile.TemporaryDirectory(prefix="benchmark-") as work,
        ):
            for name, result in measure(parsed, Path(work)):
                write_json(parsed.results / f"{name}.json", result)
                results.append(result)
    except DistilroError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(render_results(results))
    return 0


@contextmanager
def _claim_one(device: str) -> Iterator[None]:
    """Let the workers see one GPU, or none: the Trainer would spread over all that it sees."""
    with claim_device(1 if device == "cuda" else 0) as claimed:
        if claimed != device:
            raise SettingsError(
                f"--device {device}: there is no GPU here. Nothing was measured; leave --device "
                "away to measure on the CPU."
            )
        yield


def _build_plan(arguments: argparse.Namespace) -> Plan:
    return Plan(
        model=arguments.model,
        device=arguments.device,
        threads=arguments.threads,
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate or SHAPES[arguments.model].learning_rate,
        attention_dropout=arguments.attention_dropout,
        our_attention_dropout=arguments.our_attention_dropout,
        prepared=str(arguments.prepared.resolve()),
        peak_tflops=arguments.peak_tflops,
    )


def _name_file(arguments: argparse.Namespace, data: str) -> str:
    stem = arguments.name or f"{arguments.device}-{arguments.model}"
    return f"{stem}-{data}" + ("" if arguments.part == "all" else f"-{arguments.part}")


if __name__ == "__main__":
    sys.exit(main())
