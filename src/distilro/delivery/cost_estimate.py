"""What a study will cost, estimated before it runs: models, tokens read, FLOPs.

Pure functions of the settings and of the datasets' sizes. Counted: training passes, the critic's
reading, teachers' stored answers and teachers that read along, validation after each epoch, and
predictions of every test set; a teacher that answers out of fold is trained once per fold besides.
Not counted: making encoders and students' encoders, linear models, the texts of language gaps, and
what the audit will drop.
Every text is taken to have the same mean length.

Source: Kaplan et al. (2020), section 2.1: 6 FLOPs per parameter and token trained on, 2 per token
read; embeddings and the attention between positions are left out.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from distilro import recipes
from distilro.corpora.registry import Dataset
from distilro.encoder_settings import EncoderSettings
from distilro.errors import SettingsError
from distilro.recipes import Cell, Mixture
from distilro.roles import select_roles
from distilro.settings import Settings

TRAINING_FLOPS = 6  # per parameter and token: forward, and backward at twice that
FORWARD_FLOPS = 2

Datasets = Mapping[str, Dataset]


@dataclass(frozen=True)
class Workload:
    """Texts that the models of one cell read, over all seeds: in training, and forward only."""

    recipe: str
    scope: str
    models: int
    training_texts: int
    forward_texts: int


@dataclass(frozen=True)
class Estimate:
    """A whole study; a number that could not be estimated is None."""

    cells: int
    models: int
    training_tokens: int
    forward_tokens: int
    flops: float | None
    device_hours: float | None


def measure_workloads(settings: Settings, datasets: Datasets) -> list[Workload]:
    """Return the workload of every cell, in training order; linear models read no tokens."""
    return [_measure_cell(cell, settings, datasets) for cell in recipes.list_cells(settings)]


def count_mixture_rows(mixture: Mixture, settings: Settings, datasets: Datasets) -> int:
    """Return the most rows that a mixture can hold: shares of the training splits under the caps.

    Rows that the audit will drop are still in.
    """
    shares, chosen = recipes.parse_stage(mixture.name), settings.data.tasks[mixture.task]
    rows = 0
    for language, share in shares.items():
        name = getattr(chosen, language)
        size = datasets[name].splits["train"]
        rows += round(share * min(size, settings.mixtures.caps.get(name, size)))
    return rows


def count_parameters(encoders: EncoderSettings) -> int | None:
    """Return a scratch encoder's parameters outside its embeddings; None: they are not known here.

    Each layer holds four square matrices of attention and two of the feed-forward layer.
    """
    if encoders.source != "scratch" or encoders.scratch is None:
        return None
    size = encoders.scratch
    return size.layers * (4 * size.hidden**2 + 2 * size.hidden * size.intermediate)


def estimate_study(
    workloads: Iterable[Workload],
    *,
    tokens_per_text: float,
    parameters: int | None,
    tokens_per_second: float | None = None,
    flops_per_second: float | None = None,
) -> Estimate:
    """Return a study's tokens, FLOPs and hours of one device.

    Args:
        workloads: of every cell.
        tokens_per_text: mean length.
        parameters: of the encoder, outside its embeddings; None leaves FLOPs out.
        tokens_per_second: speed of training; reading forward is three times as fast.
        flops_per_second: what the device does in training, in place of it; without a speed there
            are no hours.

    Raises:
        SettingsError: two speeds are given, or FLOPs per second with unknown parameters.
    """
    if tokens_per_second is not None and flops_per_second is not None:
        raise SettingsError(
            "Expected either tokens per second or FLOPs per second, got "
            f"{tokens_per_second} and {flops_per_second}. Nothing was estimated; give one."
        )
    if flops_per_second is not None and parameters is None:
        raise SettingsError(
            "The encoder's size is not in the settings, so that FLOPs are not known. Nothing was "
            "estimated; give --parameters, or a speed in tokens per second."
        )
    workloads = list(workloads)
    trained = round(tokens_per_text * sum(load.training_texts for load in workloads))
    read = round(tokens_per_text * sum(load.forward_texts for load in workloads))
    work = TRAINING_FLOPS * trained + FORWARD_FLOPS * read  # per parameter
    flops = None if parameters is None else float(parameters) * work
    if tokens_per_second is not None:
        hours = work / TRAINING_FLOPS / tokens_per_second / 3600
    else:
        hours = None if flops_per_second is None else flops / flops_per_second / 3600
    return Estimate(
        cells=len(workloads),
        models=sum(load.models for load in workloads),
        training_tokens=trained,
        forward_tokens=read,
        flops=flops,
        device_hours=hours,
    )


def describe_estimate(estimate: Estimate, workloads: Iterable[Workload]) -> dict[str, object]:
    """Return an estimate and its cells, ready for JSON."""
    return {"version": 1, **asdict(estimate), "work": [asdict(load) for load in workloads]}


def _measure_cell(cell: Cell, settings: Settings, datasets: Datasets) -> Workload:
    recipe = settings.recipes[cell.recipe]
    models = len(recipes.list_seeds(recipe, settings))
    if recipe.kind != "encoder":
        return Workload(cell.recipe, cell.scope, models, 0, 0)
    alone = cell.scope in settings.data.tasks
    schedule = settings.training.task if alone else settings.training.joint
    tasks = recipes.list_tasks(cell.scope, settings)
    epoch = sum(
        count_mixture_rows(Mixture(task, name), settings, datasets)
        for task in tasks
        for name in recipes.name_stages(recipe, task)
    )
    folds = _count_folds(cell, settings)
    # Each of k folds leaves one part out: k - 1 times the rows, and once the model itself.
    trained = epoch * schedule.epochs * max(1, folds)
    chosen_by = recipes.list_validation(cell, settings).values()
    valid = sum(datasets[name].splits.get("valid", 0) for name in chosen_by)
    forward = valid * schedule.epochs * len(recipe.stages) * (1 + folds)
    forward += _count_answers(cell, settings, datasets) + _count_predictions(
        tasks, settings, datasets
    )
    if recipe.alignment is not None:
        forward += trained  # a teacher reads along
    if recipe.adversary is not None:
        steps = math.ceil(trained / schedule.batch_examples)
        forward += steps * recipe.adversary.steps * 2 * recipe.adversary.batch_examples
    return Workload(
        cell.recipe, cell.scope, models * (1 + folds), models * trained, models * forward
    )


def _count_folds(cell: Cell, settings: Settings) -> int:
    """Return the folds in which a cell is trained as a teacher of rows that it did not see."""
    return settings.training.folds if recipes.list_fold_questions(cell, settings) else 0


def _count_answers(cell: Cell, settings: Settings, datasets: Datasets) -> int:
    """Return the texts on which a cell, or its folds, is asked as a teacher."""
    asked = [
        *recipes.list_logits_of(cell, settings),
        *recipes.list_fold_questions(cell, settings),
    ]
    return sum(count_mixture_rows(mixture, settings, datasets) for mixture in asked)


def _count_predictions(tasks: Iterable[str], settings: Settings, datasets: Datasets) -> int:
    """Return the texts of every test set, in every way that it is written."""
    texts = 0
    for task in tasks:
        chosen = settings.data.tasks[task]
        for role in select_roles(ood=chosen.ood is not None):
            texts += datasets[getattr(chosen, role.dataset)].splits.get(role.split, 0)
    return texts
