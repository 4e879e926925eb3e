"""Compare a run with a published one, cell by cell; exit with 1 where it is not reproduced."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from distilro.artifacts import write_json
from distilro.delivery.answer import format_metric
from distilro.delivery.expectations import Expectation, read_expectations
from distilro.delivery.measures import read_measures
from distilro.delivery.verification import (
    VERDICTS,
    WIDE,
    Finding,
    Verification,
    describe_verification,
    verify_run,
)
from distilro.errors import VerificationError

_HEAD = ("verdict", "recipe", "scope", "test set", "variant", "metric")
_HEAD += ("published", "here", "difference", "allowed", "check")
_WORDS = 6  # columns of text; those of numbers stand right


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("--matrix", required=True, type=Path, help="results/<scenario>/matrix.parquet")
    add("--expected", required=True, type=Path, help="the published expected.json")
    add("--out", type=Path, help="also write the findings, JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print the table of all cells, those that need attention last, and write `--out`.

    Raises:
        VerificationError: a published cell differs, is missing or cannot be compared.
    """
    expected = read_expectations(arguments.expected)
    verification = verify_run(expected, read_measures(arguments.matrix))
    if arguments.out:
        write_json(arguments.out, describe_verification(verification))
    sys.stdout.write(f"{format_table(verification)}\n\n{format_summary(verification)}\n")
    if not verification.reproduced:
        raise VerificationError(
            f"{arguments.matrix}: expected every published cell of scenario {expected.scenario} "
            f"to be there and to agree, got {_format_counts(verification)}. Nothing was changed; "
            f"compare settings (published hash {expected.settings_hash}), data and versions with "
            f"those in {arguments.expected}."
        )


def format_table(verification: Verification) -> str:
    """Return all findings as aligned text, by verdict: agreement first, difference last."""
    findings = sorted(verification.findings, key=lambda f: VERDICTS.index(f.verdict))  # stable
    rows = [_HEAD, *(_list_texts(finding) for finding in findings)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_align(row, widths) for row in rows)


def format_summary(verification: Verification) -> str:
    """Return how many cells have which verdict, and what a faithful run may hope for."""
    weak = sum(finding.weak for finding in verification.findings)
    return (
        f"{_format_counts(verification)}.\n"
        f"{verification.tests} cells were held against chance, at a level for all of them "
        f"together: a faithful run agrees in every one with a probability of "
        f"{100 * verification.confidence:g} % or more.\n"
        f"Weak checks: {weak}. There the published spread between seeds is not known, or by so few "
        f"seeds that more than {WIDE:g} is allowed: agreement says little."
    )


def _format_counts(verification: Verification) -> str:
    return ", ".join(f"{verdict}: {verification.count(verdict)}" for verdict in VERDICTS)


def _list_texts(finding: Finding) -> tuple[str, ...]:
    cell = finding.cell
    difference = "" if finding.difference is None else f"{finding.difference:+.3f}"
    allowed = "" if finding.allowed is None else f"{finding.allowed:.3f}"
    note = finding.reason or f"{'weak: ' if finding.weak else ''}{finding.check}"
    return (
        *(finding.verdict, cell.recipe, cell.scope, cell.test_set, cell.variant),
        *(format_metric(cell.metric), _format_side(finding.published), _format_side(finding.here)),
        *(difference, allowed, note),
    )


def _format_side(cell: Expectation | None) -> str:
    """Return "0.612 ± 0.010 (5)": mean, spread over seeds and their number."""
    if cell is None:
        return "-"
    if cell.mean is None:
        return "undefined"
    spread = cell.standard_deviation
    between = "" if spread is None else f" ± {spread:.3f}"
    return f"{cell.mean:.3f}{between} ({len(cell.seeds)})"


def _align(row: Sequence[str], widths: Sequence[int]) -> str:
    last = len(row) - 1
    texts = [
        text.rjust(width) if _WORDS <= place < last else text.ljust(width)
        for place, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(texts).rstrip()
