"""Measure how far probabilities can be believed, before and after temperature scaling."""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from pydantic import Field

from distilro.artifacts import write_json
from distilro.errors import DataError
from distilro.evaluation.calibration import (
    DEFAULT_BINS,
    fit_temperature,
    measure_calibration,
    scale_probabilities,
)
from distilro.evaluation.matrix import VALIDATION_SUFFIX
from distilro.evaluation.predictions import Predictions, read_official
from distilro.settings import Section, check_section

VERSION = 1

logger = logging.getLogger(__name__)


class CalibrateSettings(Section):
    """What calibration depends on besides files."""

    bins: Annotated[int, Field(gt=0)] = Field(
        DEFAULT_BINS, description="Bins of equal width between 0 and 1."
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--settings", required=True, help='JSON, such as {"bins": 15}')
    parser.add_argument(
        "--predictions",
        required=True,
        nargs="+",
        type=Path,
        metavar="PARQUET",
        help="of the Romanian test sets and of their validation splits",
    )
    parser.add_argument("--out", required=True, type=Path, help="calibration.json")


def run(arguments: argparse.Namespace) -> None:
    """Fit each model's temperature on its validation predictions and measure it on its test's."""
    settings = check_section(CalibrateSettings, arguments.settings)
    pairs = pair_splits(read_official(arguments.predictions))
    rows = [_describe(valid, test, settings.bins) for valid, test in pairs]
    write_json(arguments.out, {"version": VERSION, "bins": settings.bins, "rows": rows})
    logger.info("%d models calibrated", len(rows))


def pair_splits(parts: Sequence[Predictions]) -> list[tuple[Predictions, Predictions]]:
    """Return (validation, test) of every model, in the order in which the tests came.

    Raises:
        DataError: a file is given twice, or one of a pair without the other.
    """
    found = {_identify(part): part for part in parts}
    if len(found) != len(parts):
        raise DataError("Predictions are given twice; name every file once.")
    tests = [part for part in parts if not part.test_set.endswith(VALIDATION_SUFFIX)]
    wanted = {_identify(part, VALIDATION_SUFFIX): part for part in tests}
    alone = set(found) ^ (set(wanted) | {_identify(part) for part in tests})
    if alone:
        *cell, test_set, seed = min(alone)
        raise DataError(
            f"{'/'.join(cell)} seed {seed}: expected predictions of a test set and of its "
            f"validation split, got one of the two without the other ({test_set}). Nothing was "
            "measured. Name both files, or neither."
        )
    return [(found[valid], test) for valid, test in wanted.items()]


def _identify(part: Predictions, suffix: str = "") -> tuple[str, str, str, str, int]:
    return part.recipe, part.scope, part.task.name, part.test_set + suffix, part.seed


def _describe(valid: Predictions, test: Predictions, bins: int) -> dict[str, object]:
    temperature = fit_temperature(valid)
    raw = measure_calibration(test, test.probabilities, bins=bins)
    scaled = measure_calibration(test, scale_probabilities(test, temperature), bins=bins)
    return {
        "recipe": test.recipe,
        "scope": test.scope,
        "task": test.task.name,
        "seed": test.seed,
        "test_set": test.test_set,
        "n": len(test),
        "temperature": temperature,
        **{"ece": raw.ece, "ece_scaled": scaled.ece},
        **{"brier": raw.brier, "brier_scaled": scaled.brier},
        "curve": [asdict(part) for part in raw.curve],
        "curve_scaled": [asdict(part) for part in scaled.curve],
    }
