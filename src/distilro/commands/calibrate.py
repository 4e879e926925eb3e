"""Measure how far probabilities can be believed, before and after temperature scaling."""

import argparse
import logging
from collections.abc import Iterable, Iterator
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
        help="the Romanian test sets and their validation splits are read",
    )
    parser.add_argument("--out", required=True, type=Path, help="calibration.json")


def run(arguments: argparse.Namespace) -> None:
    """Fit each model's temperature on its validation predictions and measure it on its test's."""
    settings = check_section(CalibrateSettings, arguments.settings)
    pairs = read_official(arguments.predictions, "ro-valid", "ro")
    rows = [_describe(valid, test, settings.bins) for valid, test in refuse_repeats(pairs)]
    write_json(arguments.out, {"version": VERSION, "bins": settings.bins, "rows": rows})
    logger.info("%d models calibrated", len(rows))


def refuse_repeats(
    pairs: Iterable[tuple[Predictions, Predictions]],
) -> Iterator[tuple[Predictions, Predictions]]:
    """Yield (validation, test) of every model, as they come.

    Raises:
        DataError: a model's predictions for a task are given twice.
    """
    seen = set()
    for valid, test in pairs:
        model = (test.recipe, test.scope, test.task.name, test.seed)
        if model in seen:
            *cell, seed = model
            raise DataError(
                f"{'/'.join(cell)} seed {seed}: predictions are given twice. Nothing was measured. "
                "Name every file once."
            )
        seen.add(model)
        yield valid, test


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
