"""Copy a finished run's tables, plot and page to a folder for git, with what to expect of it."""

import argparse
from pathlib import Path

from distilro.delivery.publication import publish_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--results", required=True, type=Path, help="results/<scenario>")
    parser.add_argument("--out", required=True, type=Path, help="results/published/<scenario>")


def run(arguments: argparse.Namespace) -> None:
    """Write the tables, matrix.svg, report.html and expected.json."""
    publish_run(arguments.results, arguments.out)
