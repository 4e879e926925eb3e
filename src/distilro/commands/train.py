"""Train the models of one cell: every seed, one after the other, in one process.

A process that is stopped leaves checkpoints, and the same command goes on from them; they are
removed once every seed's model is written.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from distilro.artifacts import write_json
from distilro.cards import record_run
from distilro.devices import add_device_arguments, claim_device
from distilro.distillation.cell_settings import CellPlaces, CellSettings, Machine
from distilro.distillation.cells import CellTrainer
from distilro.evaluation.validation import score_logits
from distilro.modeling.allocation import keep_freed_memory
from distilro.modeling.precision import choose_device, choose_packing, choose_precision
from distilro.settings import check_section
from distilro.training.workers import join_workers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_cell_arguments(parser)


def add_cell_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what every command that trains a cell's models is told."""
    parser.add_argument("--cell", required=True, help="RECIPE/SCOPE")
    parser.add_argument("--settings", required=True, help="JSON of CellSettings")
    parser.add_argument("--encoder", required=True, type=Path, help="folder to start from")
    parser.add_argument("--prepared", required=True, type=Path, help="data/prepared")
    parser.add_argument("--results", required=True, type=Path, help="results/<scenario>")
    parser.add_argument(
        "--checkpoint-seconds", type=float, default=30.0, help="least time between checkpoints"
    )
    add_device_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Train, choose by validation and write the model of every seed."""
    with open_cell(arguments, "train") as (cell, record):
        for seed in cell.settings.seeds:
            trained = cell.train(seed)
            if cell.machine.workers.rank == 0:
                card = cell.write(trained, seed)
                write_json(cell.places.find_model(seed) / "card.json", card)
        record["resumed"] = cell.checkpoints.resumed
        record["earlier_seconds"] = cell.checkpoints.earlier_seconds
        cell.clear_checkpoints()


@contextmanager
def open_cell(arguments: argparse.Namespace, stage: str) -> Iterator[tuple[CellTrainer, dict]]:
    """Yield the cell that the arguments name, its data read, and the record of the run."""
    settings = check_section(CellSettings, arguments.settings)
    recipe, scope = arguments.cell.split("/")
    places = CellPlaces(
        recipe,
        scope,
        encoder=arguments.encoder,
        prepared=arguments.prepared,
        results=arguments.results,
        checkpoint_seconds=arguments.checkpoint_seconds,
    )
    records = arguments.results / "records"
    with (
        claim_device(arguments.gpus) as claimed,
        record_run(records, stage, f"{recipe}-{scope}", arguments.threads) as record,
    ):
        torch.set_num_threads(max(1, arguments.threads // settings.processes))
        keep_freed_memory()
        device = record["device"] = choose_device(claimed)
        with join_workers(device, settings.processes) as workers:
            precision = choose_precision(settings.precision, device)
            packed = choose_packing(settings.packing, device, precision, settings.attention_dropout)
            machine = Machine(device, precision, packed, workers)
            cell = CellTrainer(settings, places, machine, score_logits)
            yield cell, record
            record["loading_seconds"] = round(cell.loading_seconds, 3)
