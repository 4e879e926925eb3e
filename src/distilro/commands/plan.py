"""Estimate what a study will cost before it runs: models, tokens, FLOPs and hours."""

import argparse
import sys
from pathlib import Path

from distilro.artifacts import write_json
from distilro.corpora.registry import Dataset, load_dataset
from distilro.delivery.cost_estimate import (
    Estimate,
    Workload,
    count_parameters,
    describe_estimate,
    estimate_study,
    measure_workloads,
)
from distilro.delivery.ledger import format_amount
from distilro.recipes import list_datasets
from distilro.settings import Settings, check_section, load_settings

TOKENS_PER_TEXT = 40.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument(
        "--scenario", help="of this folder's params.yaml; by default the one it names"
    )
    asked.add_argument("--settings", help="the effective settings, JSON")
    add("--registry", type=Path, default=Path("data/registry"), help="by default data/registry")
    add(
        "--tokens-per-text",
        type=_read_positive,
        default=TOKENS_PER_TEXT,
        help=f"mean length of a text in word pieces; by default {TOKENS_PER_TEXT:g}, a short one",
    )
    add("--parameters", type=int, help="of the encoder, outside its embeddings; scratch: known")
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument("--tokens-per-second", type=_read_positive, help="trained by one device")
    speed.add_argument("--flops-per-second", type=_read_positive, help="done by one device")
    add("--out", type=Path, help="also write the estimate, JSON")


def run(arguments: argparse.Namespace) -> None:
    """Write the estimate to standard output and, where asked, as JSON."""
    if arguments.settings:
        settings = check_section(Settings, arguments.settings)
    else:
        settings = load_settings(".", arguments.scenario)
    workloads = measure_workloads(settings, read_datasets(settings, arguments.registry))
    estimate = estimate_study(
        workloads,
        tokens_per_text=arguments.tokens_per_text,
        parameters=arguments.parameters or count_parameters(settings.encoders),
        tokens_per_second=arguments.tokens_per_second,
        flops_per_second=arguments.flops_per_second,
    )
    if arguments.out:
        write_json(arguments.out, describe_estimate(estimate, workloads))
    sys.stdout.write(format_plan(estimate, workloads, arguments.tokens_per_text))


def read_datasets(settings: Settings, registry: Path) -> dict[str, Dataset]:
    """Read the declaration of every dataset that a task names."""
    return {name: load_dataset(registry, name) for name in list_datasets(settings)}


def format_plan(estimate: Estimate, workloads: list[Workload], tokens_per_text: float) -> str:
    """Return the estimate as a table for a terminal, one line per cell and the sums below."""
    rows = [
        (
            f"{load.recipe}/{load.scope}",
            str(load.models),
            format_amount(load.training_texts * tokens_per_text),
            format_amount(load.forward_texts * tokens_per_text),
        )
        for load in workloads
    ]
    head = ("cell", "models", "tokens trained on", "tokens read forward")
    sums = (
        f"{estimate.cells} cells",
        str(estimate.models),
        format_amount(float(estimate.training_tokens)),
        format_amount(float(estimate.forward_tokens)),
    )
    widths = [max(map(len, column)) for column in zip(head, *rows, sums, strict=True)]
    lines = [_join_columns(row, widths) for row in (head, *rows, sums)]
    flops = (
        "not known: give --parameters"
        if estimate.flops is None
        else f"{estimate.flops:.3g} (encoder without its embeddings)"
    )
    hours = (
        "not known: give --tokens-per-second or --flops-per-second"
        if estimate.device_hours is None
        else f"{estimate.device_hours:.3g}"
    )
    return "\n".join([*lines, "", f"FLOPs: {flops}", f"Hours of one device: {hours}", ""])


def _join_columns(row: tuple[str, ...], widths: list[int]) -> str:
    first, *rest = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in rest)])


def _read_positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value
