"""Store what a teacher says about a mixture, for every seed of the teacher."""

import argparse
from pathlib import Path

from distilro.cards import add_seconds, record_run
from distilro.corpora.examples import read_examples
from distilro.devices import add_device_arguments, claim_device
from distilro.distillation.logits import write_logits
from distilro.distillation.teachers import identify_teacher, name_logits
from distilro.modeling.scorers import load_scorer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--cell", required=True, help="the teacher: RECIPE/SCOPE")
    parser.add_argument("--task", required=True, help="the mixture's task")
    parser.add_argument("--mixture", required=True, type=Path, help="the mixture's Parquet file")
    parser.add_argument("--seeds", required=True, type=int, nargs="+", help="the teacher's seeds")
    parser.add_argument("--results", required=True, type=Path, help="results/<scenario>")
    add_device_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Ask the teacher of every seed once and store its logits."""
    examples = read_examples(arguments.mixture)
    stem = f"{arguments.task}-{arguments.mixture.stem}"
    name = f"{arguments.cell.replace('/', '-')}-{stem}"
    records = arguments.results / "records"
    with (
        claim_device(arguments.gpus) as device,
        record_run(records, "logits", name, arguments.threads) as record,
    ):
        record["device"] = device
        for seed in arguments.seeds:
            folder = arguments.results / "models" / arguments.cell / f"seed{seed}"
            teacher = identify_teacher(folder)
            with add_seconds(record, "loading_seconds"):
                scorer = load_scorer(folder, device=device, threads=arguments.threads)
            logits = scorer.score(arguments.task, examples.text)
            path = name_logits(arguments.results, teacher, stem)
            write_logits(path, examples=examples, logits=logits, teacher=teacher)
