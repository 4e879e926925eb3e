"""Compare recipes with their references, and say what each dataset and task adds."""

import argparse
import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from distilro.artifacts import write_json
from distilro.evaluation.comparisons import Pair, compare_family
from distilro.evaluation.hypotheses import count_resamples
from distilro.evaluation.influence import PlainCell, find_additions, measure_influence
from distilro.evaluation.predictions import Predictions, list_roles, read_official
from distilro.evaluation.runs import resample_runs
from distilro.evaluation.statistics import Bootstrap
from distilro.evaluation.verdicts import UNDECIDED
from distilro.pair_settings import PairSettings
from distilro.sections import Count, Name, Scope, Section
from distilro.settings import EvaluationSettings, check_section

SCHEMA_VERSION = 1

_LANGUAGES = {"ro": "ro", "en": "en", "ood": "ro"}  # of the texts of a role

logger = logging.getLogger(__name__)


class CellSettings(Section):
    """One plain recipe and scope: what it learned from, and how."""

    recipe: Name = Field(description="A recipe that differs from others in its data alone.")
    scope: Scope = Field(description="Its scope: a task or a named set of tasks.")
    datasets: dict[Name, Annotated[tuple[Name, ...], Field(min_length=1)]] = Field(
        description="Task -> its training datasets.", min_length=1
    )
    conditions: dict[str, str] = Field(
        default_factory=dict, description="What else it was trained with, as name -> value."
    )


class CompareSettings(Section):
    """The declared family, and the plain recipes whose data is compared."""

    evaluation: EvaluationSettings = Field(description="Threshold and resamples.")
    seeds_needed: Count = Field(description="Fewest seeds of a neural recipe behind a claim.")
    family: tuple[PairSettings, ...] = Field(description="Every pair that is tested.")
    cells: tuple[CellSettings, ...] = Field((), description="The plain recipes, for influence.")
    test_sets: dict[Name, tuple[Literal["ro", "en", "ood"], ...]] = Field(
        description="Task -> the roles of its test sets, on which influence is measured."
    )
    deterministic: tuple[Name, ...] = Field(
        (), description="Recipes that are the same for every seed: one is enough for a claim."
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--settings", required=True, help="JSON: the family, cells and resamples")
    parser.add_argument(
        "--predictions",
        required=True,
        nargs="+",
        type=Path,
        metavar="PARQUET",
        help="of every recipe and seed; the official test sets in them are read",
    )
    parser.add_argument("--out", required=True, type=Path, help="comparisons of the family, JSON")
    parser.add_argument("--influence", required=True, type=Path, help="effects of data, JSON")


def run(arguments: argparse.Namespace) -> None:
    """Resample the predictions of every test set; write the comparisons and the influence."""
    settings = check_section(CompareSettings, arguments.settings)
    family = [Pair(**pair.model_dump()) for pair in settings.family]
    bootstrap = choose_bootstrap(settings.evaluation, len(family))
    resample = partial(resample_runs, threshold=settings.evaluation.threshold, bootstrap=bootstrap)
    runs = resample(part for (part,) in read_official(arguments.predictions, "ro"))
    rows = compare_family(
        family,
        runs,
        confidence=bootstrap.confidence,
        seeds_needed=settings.seeds_needed,
        deterministic=settings.deterministic,
    )
    cells = [_make_cell(cell) for cell in settings.cells]
    additions, influence = find_additions(cells), []
    for role in _LANGUAGES:
        asked = [each for each in additions if role in settings.test_sets.get(each.pair.task, ())]
        if not asked:
            continue
        tested = runs if role == "ro" else resample(_read_cells(arguments.predictions, role, cells))
        influence += measure_influence(asked, tested, bootstrap.confidence)
    header = {
        "version": SCHEMA_VERSION,
        "confidence": bootstrap.confidence,
        "samples": bootstrap.samples,
    }
    declared = {"seeds_needed": settings.seeds_needed, "correction": "holm"}
    write_json(arguments.out, header | declared | {"family": rows})
    write_json(arguments.influence, header | {"rows": influence})
    told = sum(row["verdict"] != UNDECIDED for row in rows)
    logger.info("%d of %d pairs differ; %d additions", told, len(rows), len(additions))


def choose_bootstrap(settings: EvaluationSettings, tests: int) -> Bootstrap:
    """Return the resamples to draw: those asked for, or more where the family is large."""
    asked = Bootstrap(settings.bootstrap_samples, settings.confidence, settings.seed)
    needed = count_resamples(asked.samples, tests, asked.confidence)
    if needed > asked.samples:
        logger.info("%d resamples, not %d: a family of %d", needed, asked.samples, tests)
    return replace(asked, samples=needed)


def _read_cells(
    paths: Iterable[Path], role: str, cells: Iterable[PlainCell]
) -> Iterator[Predictions]:
    """Yield what cells say of a role, where there is such a test set."""
    wanted = {(cell.recipe, cell.scope) for cell in cells}
    holding = [path for path in paths if role in list_roles(path)]
    for (part,) in read_official(holding, role, language=_LANGUAGES[role]):
        if (part.recipe, part.scope) in wanted:
            yield part


def _make_cell(cell: CellSettings) -> PlainCell:
    datasets = {task: frozenset(names) for task, names in cell.datasets.items()}
    return PlainCell(cell.recipe, cell.scope, datasets, cell.conditions)
