"""Copy a finished run's table, plot and page to a folder for git, with the machine named."""

import argparse
from pathlib import Path

from distilro.delivery.publication import publish_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--results", required=True, type=Path, help="results/<scenario>")
    parser.add_argument("--out", required=True, type=Path, help="results/published/<scenario>")


def run(arguments: argparse.Namespace) -> None:
    """Write matrix.csv, matrix.md, matrix.svg and report.html."""
    publish_run(arguments.results, arguments.out)
