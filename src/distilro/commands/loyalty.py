"""Measure how loyal students are to their teachers on the Romanian test sets."""

import argparse
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from pydantic import Field

from distilro.artifacts import write_json
from distilro.errors import DataError
from distilro.evaluation.loyalty import measure_loyalty
from distilro.evaluation.predictions import Predictions, read_official
from distilro.evaluation.statistics import Bootstrap, Interval
from distilro.settings import EvaluationSettings, Section, check_section

VERSION = 1

Cell = tuple[str, str, str]  # recipe, scope, task
Found = dict[Cell, dict[tuple[str, int], Predictions]]  # cell -> (test set, seed) -> predictions

logger = logging.getLogger(__name__)


class LoyaltyPair(Section):
    """A student and one of its teachers, for one task."""

    student: str
    student_scope: str
    teacher: str
    teacher_scope: str
    task: str


class LoyaltySettings(Section):
    """What loyalty depends on: how items are decided and resampled, and who learned from whom."""

    evaluation: EvaluationSettings
    pairs: tuple[LoyaltyPair, ...] = Field(description="Every student with each of its teachers.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--settings", required=True, help="JSON of LoyaltySettings")
    parser.add_argument("--predictions", required=True, nargs="+", type=Path, metavar="PARQUET")
    parser.add_argument("--out", required=True, type=Path, help="loyalty.json")


def run(arguments: argparse.Namespace) -> None:
    """Measure every pair, seed by seed, and write one table."""
    settings = check_section(LoyaltySettings, arguments.settings)
    evaluation = settings.evaluation
    bootstrap = Bootstrap(evaluation.bootstrap_samples, evaluation.confidence, evaluation.seed)
    found = _index(part for (part,) in read_official(arguments.predictions, "ro"))
    rows = []
    for pair in settings.pairs:
        for student, teacher in match_seeds(pair, found):
            measured = measure_loyalty(
                student, teacher, threshold=evaluation.threshold, bootstrap=bootstrap
            )
            rows.append(_describe(pair, student, measured))
    table = {
        "version": VERSION,
        "confidence": evaluation.confidence,
        "samples": evaluation.bootstrap_samples,
        "rows": rows,
    }
    write_json(arguments.out, table)
    logger.info("%d loyalties of %d pairs", len(rows), len(settings.pairs))


def match_seeds(pair: LoyaltyPair, found: Found) -> list[tuple[Predictions, Predictions]]:
    """Return (student, teacher) for every test set and seed of the student, in their order.

    A teacher of one seed speaks to every student's; else the seeds must be the same.

    Raises:
        DataError: predictions of the student or of its teacher are not given.
    """
    students = found.get((pair.student, pair.student_scope, pair.task), {})
    teachers = found.get((pair.teacher, pair.teacher_scope, pair.task), {})
    matched = []
    for (test_set, seed), student in sorted(students.items()):
        seeds = sorted(other for name, other in teachers if name == test_set)
        chosen = seed if seed in seeds else seeds[0] if len(seeds) == 1 else None
        if chosen is None:
            raise DataError(
                f"{pair.teacher}/{pair.teacher_scope}, teacher of {pair.student}: expected "
                f"predictions of {test_set} by its seed {seed} or by its only one, got those of "
                f"the seeds {seeds}. Run the stage predict for it."
            )
        matched.append((student, teachers[test_set, chosen]))
    if not matched:
        raise DataError(
            f"{pair.student}/{pair.student_scope}: expected predictions of {pair.task}, got none. "
            "Run the stage predict for it, and name its files."
        )
    return matched


def _index(predictions: Iterable[Predictions]) -> Found:
    found: Found = {}
    for part in predictions:
        of_cell = found.setdefault((part.recipe, part.scope, part.task.name), {})
        if (part.test_set, part.seed) in of_cell:
            raise DataError(
                f"The predictions of {part.recipe}/{part.scope} seed {part.seed} on "
                f"{part.test_set} are given twice. Name every file once."
            )
        of_cell[part.test_set, part.seed] = part
    return found


def _describe(
    pair: LoyaltyPair, student: Predictions, measured: Mapping[str, Interval]
) -> dict[str, object]:
    intervals = {
        name: {bound: None if math.isnan(value) else value for bound, value in asdict(part).items()}
        for name, part in measured.items()
    }
    return {
        **pair.model_dump(),
        "test_set": student.test_set,
        "seed": student.seed,
        "n": len(student),
        **intervals,
    }
