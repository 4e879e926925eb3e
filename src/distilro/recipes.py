"""From recipes to work: which cells, mixtures and teacher logits a run needs.

Pure functions of the settings, used by the workflow to lay out its jobs. Nothing is trained here.
A cell's scope is a task's name, or `all` for one model of every task.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from distilro.errors import SettingsError
from distilro.settings import Recipe, Settings

ALL_TASKS = "all"


@dataclass(frozen=True, order=True)
class Cell:
    """A model to train, once per seed: a recipe and its scope."""

    recipe: str
    scope: str


@dataclass(frozen=True, order=True)
class Mixture:
    """A training set: a task and the name of a stage."""

    task: str
    name: str


def name_stage(stage: Mapping[str, float]) -> str:
    """Return a stage's name, Romanian first: the same shares have the same name.

    >>> name_stage({"en": 0.5, "ro": 1.0})
    'ro1-en0.5'
    """
    return "-".join(f"{language}{stage[language]:g}" for language in sorted(stage, reverse=True))


def parse_stage(name: str) -> dict[str, float]:
    """Return the shares of a stage's name; the inverse of `name_stage`.

    >>> parse_stage("ro1-en0.5")
    {'ro': 1.0, 'en': 0.5}
    """
    return {part[:2]: float(part[2:]) for part in name.split("-")}


def list_datasets(settings: Settings) -> list[str]:
    """Return every dataset of the tasks, Romanian before English, without repeats."""
    chosen = settings.data.tasks.values()
    return list(dict.fromkeys(name for datasets in chosen for name in (datasets.ro, datasets.en)))


def list_datasets_of(task: str, mixture: str, settings: Settings) -> list[str]:
    """Return the datasets that a task's mixture is drawn from."""
    datasets = settings.data.tasks[task]
    return [getattr(datasets, language) for language in parse_stage(mixture)]


def describe_mixture(task: str, mixture: str, settings: Settings) -> dict[str, object]:
    """Return all that one mixture depends on besides files, ready for JSON."""
    datasets = list_datasets_of(task, mixture, settings)
    caps = settings.mixtures.caps
    return {
        "stage": parse_stage(mixture),
        "datasets": dict(zip(parse_stage(mixture), datasets, strict=True)),
        "caps": {name: caps[name] for name in datasets if name in caps},
        "salt": settings.mixtures.salt,
    }


def order_recipes(settings: Settings) -> list[str]:
    """Return the recipes to run and their teachers, each after the teachers it needs."""
    ordered: list[str] = []
    for name in settings.training.recipes:
        _visit(settings, name, ordered, ())
    return ordered


def list_cells(settings: Settings) -> list[Cell]:
    """Return every cell of the recipes to run, in training order."""
    return [
        Cell(name, scope)
        for name in order_recipes(settings)
        for scope in list_scopes(settings.recipes[name], settings)
    ]


def list_scopes(recipe: Recipe, settings: Settings) -> list[str]:
    """Return the scopes of a recipe: every task by itself, or all of them together."""
    return [ALL_TASKS] if recipe.scope == "all" else list(settings.data.tasks)


def list_tasks(scope: str, settings: Settings) -> list[str]:
    """Return the tasks of a scope, in the order of the settings."""
    return list(settings.data.tasks) if scope == ALL_TASKS else [scope]


def list_mixtures(cell: Cell, settings: Settings) -> list[Mixture]:
    """Return the training sets of a cell: stage by stage, task by task, without repeats."""
    stages = settings.recipes[cell.recipe].stages
    tasks = list_tasks(cell.scope, settings)
    return list(
        dict.fromkeys(Mixture(task, name_stage(stage)) for stage in stages for task in tasks)
    )


def list_all_mixtures(settings: Settings) -> list[Mixture]:
    """Return the training sets of every cell and of the encoder, sorted."""
    wanted = {mixture for cell in list_cells(settings) for mixture in list_mixtures(cell, settings)}
    return sorted(wanted.union(list_encoder_mixtures(settings)))


def list_encoder_mixtures(settings: Settings) -> list[Mixture]:
    """Return the training sets whose texts the encoder reads: all there is, or none.

    Which neural recipes run makes no difference, so that a new one does not make a new encoder.
    """
    encoders = settings.encoders
    neural = any(settings.recipes[name].kind == "encoder" for name in order_recipes(settings))
    if not neural or (encoders.source != "scratch" and encoders.adaptation.epochs == 0):
        return []
    return [Mixture(task, name_stage({"ro": 1.0, "en": 1.0})) for task in settings.data.tasks]


def describe_encoder(settings: Settings) -> dict[str, object]:
    """Return what the encoder depends on besides files, ready for JSON: its own source alone."""
    encoders = settings.encoders
    used = {"source", encoders.source, "adaptation", "seed"}
    return encoders.model_dump(mode="json", include=used)


def list_seeds(recipe: Recipe, settings: Settings) -> tuple[int, ...]:
    """Return the seeds of a recipe's cells; a linear model has no randomness, hence one."""
    seeds = settings.training.seeds
    return seeds[:1] if recipe.kind == "linear" else seeds


def find_teacher(teacher: str, task: str, settings: Settings) -> Cell:
    """Return the cell of the recipe `teacher` that answers for `task`."""
    alone = settings.recipes[teacher].scope == "task"
    return Cell(teacher, task if alone else ALL_TASKS)


def list_teacher_logits(cell: Cell, settings: Settings) -> list[tuple[Cell, Mixture]]:
    """Return the logits a student learns from: (teacher cell, mixture), teachers in order."""
    return [
        (find_teacher(teacher, mixture.task, settings), mixture)
        for teacher in settings.recipes[cell.recipe].teachers
        for mixture in list_mixtures(cell, settings)
    ]


def list_logits_of(teacher: Cell, settings: Settings) -> list[Mixture]:
    """Return the mixtures on which a teacher cell is asked by any student."""
    students = (
        cell
        for cell in list_cells(settings)
        if teacher.recipe in settings.recipes[cell.recipe].teachers
    )
    wanted = {
        mixture
        for student in students
        for asked, mixture in list_teacher_logits(student, settings)
        if asked == teacher
    }
    return sorted(wanted)


def _visit(settings: Settings, name: str, ordered: list[str], above: tuple[str, ...]) -> None:
    if name in above:
        raise SettingsError(f"recipes.{above[0]}: teaches itself through {' -> '.join(above)}.")
    if name not in settings.recipes:
        where = f"recipes.{above[-1]}.teachers" if above else "training.recipes"
        known = ", ".join(sorted(settings.recipes))
        raise SettingsError(f"{where}: no recipe is called {name!r}; there are: {known}.")
    for teacher in settings.recipes[name].teachers:
        _visit(settings, teacher, ordered, (*above, name))
    if name not in ordered:
        ordered.append(name)


def describe_training(cell: Cell, settings: Settings) -> dict[str, object]:
    """Return all that one cell's training depends on besides files, ready for JSON."""
    recipe = settings.recipes[cell.recipe]
    tasks = list_tasks(cell.scope, settings)
    training = settings.training
    common = {"recipe": recipe.model_dump(mode="json"), "tasks": tasks}
    if recipe.kind == "linear":
        return {
            **common,
            "linear": training.linear.model_dump(mode="json"),
            "seed": training.seeds[0],
        }
    schedule = training.joint if cell.scope == ALL_TASKS else training.task
    optimisation = training.model_dump(mode="json", exclude={"recipes", "task", "joint", "linear"})
    return {
        **common,
        **optimisation,
        "schedule": schedule.model_dump(mode="json"),
        "validation": {task: settings.data.tasks[task].ro for task in tasks},
        "teacher_scopes": {
            teacher: {task: find_teacher(teacher, task, settings).scope for task in tasks}
            for teacher in recipe.teachers
        },
        "teacher_seeds": {
            teacher: list(list_seeds(settings.recipes[teacher], settings))
            for teacher in recipe.teachers
        },
    }


def describe_prediction(scope: str, settings: Settings) -> dict[str, object]:
    """Return which datasets a cell is tested on, ready for JSON."""
    tasks = list_tasks(scope, settings)
    return {"tasks": {task: settings.data.tasks[task].model_dump() for task in tasks}}
