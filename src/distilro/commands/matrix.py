"""Join the scores of all recipes into one matrix: Parquet, CSV and a Markdown table."""

import argparse
from pathlib import Path

from distilro.artifacts import write_text
from distilro.evaluation.matrix import format_csv, format_markdown, join_scores
from distilro.evaluation.scores import read_scores, write_scores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--scores", required=True, nargs="+", type=Path, metavar="PARQUET")
    parser.add_argument("--out", required=True, type=Path, help="the matrix, Parquet")
    parser.add_argument("--csv", required=True, type=Path, help="the same as CSV")
    parser.add_argument("--markdown", required=True, type=Path, help="a compact table")


def run(arguments: argparse.Namespace) -> None:
    """Read the scores in the order given, which is the order of the recipes, and write them."""
    matrix = join_scores([read_scores(path) for path in arguments.scores])
    write_text(arguments.csv, format_csv(matrix))
    write_text(arguments.markdown, format_markdown(matrix))
    write_scores(arguments.out, matrix)
