"""Scores: every metric of a predictions file, with interval and count, in long form.

A test set has several variants. "official" holds its rows as published; "deduplicated" leaves out
the rows that have an exact or near copy in any training split, as the audit lists them; the others
hold predictions made from perturbed texts (corpora/perturbations.py), and are scored when given.
Rows are put in the order of their ids, so that the resamples of two models meet the same items.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from distilro.artifacts import write_atomically
from distilro.corpora.copies import EVALUATION_SPLITS
from distilro.errors import DataError, IntegrityError
from distilro.evaluation.metrics import compute_metrics, count_outcomes, count_rows, decide_labels
from distilro.evaluation.predictions import Predictions
from distilro.evaluation.statistics import Bootstrap, Interval, bootstrap_intervals

SCHEMA_VERSION = 1
VARIANTS = ("official", "deduplicated", "stripped", "cedilla", "upper_case", "typos")

_METADATA_KEY = b"distilro"
_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64()}


@dataclass(frozen=True)
class Score:
    """One metric of one model on one variant of one test set.

    `value` is in [0, 1], or NaN where the metric is undefined; then `n` is 0. `low` and `high`
    bound the bootstrap interval; `n` is the number of rows behind the value.
    """

    recipe: str
    scope: str
    task: str
    seed: int
    test_set: str
    language: str
    variant: str
    metric: str
    value: float
    low: float
    high: float
    n: int


def score_predictions(
    predictions: Predictions,
    *,
    near_copies: Collection[str],
    threshold: float,
    bootstrap: Bootstrap,
) -> list[Score]:
    """Return every metric of a predictions file, for each variant it stands for.

    A multi-label task is scored twice: by the rule of `decide_labels`, and strictly.
    """
    rows_of = {predictions.variant: np.argsort(np.asarray(predictions.id), kind="stable")}
    if predictions.variant == "official":
        rows_of["deduplicated"] = _drop_copies(predictions, rows_of["official"], near_copies)
    scores = []
    for strict in (False, True) if predictions.task.kind == "multi_label" else (False,):
        counts = _count_rows(predictions, threshold, strict=strict)  # [N, C]
        for variant, rows in rows_of.items():
            named = _score_counts(predictions, counts[rows], strict=strict, bootstrap=bootstrap)
            scores += [_make_score(predictions, variant, *part) for part in named]
    return scores


def find_near_copies(audit: pa.Table) -> set[str]:
    """Return the validation and test rows that have an exact or near copy in a training split.

    `audit` is a table of `corpora.audit.read_audit`; the training split may be any dataset's.
    """
    evaluation = pa.array(EVALUATION_SPLITS)
    touched = pc.and_(
        pc.invert(pc.is_in(audit.column("split"), evaluation)),
        pc.is_in(audit.column("other_split"), evaluation),
    )
    return set(audit.filter(touched).column("other_id").to_pylist())


def sort_scores(scores: Iterable[Score]) -> list[Score]:
    """Return scores ordered by model, test set, variant and metric, whatever order they came in.

    Raises:
        DataError: one metric of one model stands twice.
    """
    ordered = sorted(scores, key=_identify)
    for before, after in pairwise(ordered):
        if _identify(before) == _identify(after):
            raise DataError(
                f"The score {' / '.join(map(str, _identify(after)))} stands twice: "
                f"{before.value} and {after.value}. Give every predictions file once."
            )
    return ordered


def write_scores(path: str | Path, scores: Sequence[Score]) -> None:
    """Write scores in long form, one row each, atomically."""
    columns = {
        column.name: pa.array(
            [getattr(score, column.name) for score in scores], _TYPES[column.type]
        )
        for column in fields(Score)
    }
    header = {_METADATA_KEY: json.dumps({"version": SCHEMA_VERSION, "rows": len(scores)})}
    with write_atomically(path) as temporary:
        pq.write_table(pa.table(columns).replace_schema_metadata(header), temporary)


def read_scores(path: str | Path) -> list[Score]:
    """Read scores in the order of the file.

    Raises:
        IntegrityError: the file is absent, not of scores, of another version, or rows are lost.
    """
    path = Path(path)
    try:
        table = pq.read_table(path)
        header = json.loads((table.schema.metadata or {}).get(_METADATA_KEY, b"{}"))
    except (OSError, pa.ArrowInvalid, ValueError) as error:
        raise IntegrityError(f"{path}: cannot read scores ({error}). Score again.") from error
    expected = {"version": SCHEMA_VERSION, "rows": table.num_rows}
    if header != expected or table.column_names != [column.name for column in fields(Score)]:
        raise IntegrityError(
            f"{path}: expected scores with header {expected}, got {header} and the columns "
            f"{', '.join(table.column_names)}. Run the stage score again."
        )
    return [Score(**row) for row in table.to_pylist()]


def _identify(score: Score) -> tuple[str | int, ...]:
    names = (score.recipe, score.scope, score.task, score.seed, score.test_set)
    return (*names, VARIANTS.index(score.variant), score.metric)


def _drop_copies(
    predictions: Predictions, rows: np.ndarray, near_copies: Collection[str]
) -> np.ndarray:
    copied = np.array([predictions.id[row] in near_copies for row in rows.tolist()], dtype=bool)
    return rows[~copied]


def _count_rows(predictions: Predictions, threshold: float, *, strict: bool) -> np.ndarray:
    decided = decide_labels(
        predictions.task,
        predictions.probabilities,
        predictions.observed,
        threshold=threshold,
        strict=strict,
    )
    task, gold, observed = predictions.task, predictions.gold, predictions.observed
    return count_outcomes(task, gold, decided, observed).stack()


def _score_counts(
    predictions: Predictions, counts: np.ndarray, *, strict: bool, bootstrap: Bootstrap
) -> list[tuple[str, Interval, int]]:
    compute = partial(compute_metrics, predictions.task, strict=strict)
    intervals = bootstrap_intervals(counts, compute, predictions.test_set, bootstrap)
    sums = counts.sum(axis=0)
    rows = count_rows(predictions.task, sums, compute(sums))
    return [(metric, interval, rows[metric]) for metric, interval in intervals.items()]


def _make_score(
    predictions: Predictions, variant: str, metric: str, interval: Interval, rows: int
) -> Score:
    return Score(
        recipe=predictions.recipe,
        scope=predictions.scope,
        task=predictions.task.name,
        seed=predictions.seed,
        test_set=predictions.test_set,
        language=predictions.language,
        variant=variant,
        metric=metric,
        **asdict(interval),
        n=rows,
    )
