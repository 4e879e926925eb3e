"""Score predictions: every metric, with its interval and count, per variant of each test set."""

import argparse
import logging
from pathlib import Path

from distilro.corpora.audit import read_audit
from distilro.evaluation.predictions import read_predictions
from distilro.evaluation.scores import (
    find_near_copies,
    score_predictions,
    sort_scores,
    write_scores,
)
from distilro.evaluation.statistics import Bootstrap
from distilro.settings import EvaluationSettings, check_section

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--predictions", required=True, nargs="+", type=Path, metavar="PARQUET")
    parser.add_argument("--audit", required=True, type=Path, help="audit.parquet: the near copies")
    parser.add_argument("--settings", required=True, help="JSON of the evaluation section")
    parser.add_argument("--out", required=True, type=Path, help="scores in long form, Parquet")


def run(arguments: argparse.Namespace) -> None:
    """Score every role of every predictions file given and write them as one table."""
    settings = check_section(EvaluationSettings, arguments.settings)
    bootstrap = Bootstrap(settings.bootstrap_samples, settings.confidence, settings.seed)
    near_copies = find_near_copies(read_audit(arguments.audit))
    scores = []
    for path in arguments.predictions:
        for part in read_predictions(path).values():
            scores += score_predictions(
                part,
                near_copies=near_copies,
                threshold=settings.threshold,
                bootstrap=bootstrap,
            )
    write_scores(arguments.out, sort_scores(scores))
    logger.info("%d scores of %d predictions files", len(scores), len(arguments.predictions))
