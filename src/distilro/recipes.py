"""From recipes to work: which cells, mixtures and teacher logits a run needs.

Pure functions of the settings, used by the workflow to lay out its jobs. Nothing is trained here.
A cell's scope is a task's name, the names of several tasks joined by "+", or `all` for one model of
every task.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from distilro.errors import SettingsError
from distilro.settings import Recipe, Settings

ALL_TASKS = "all"
JOINT = "+"

_DRAW = "draw"


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


def name_stage(stage: Mapping[str, float], draw: int = 0) -> str:
    """Return a stage's name, Romanian first: the same shares of the same draw have the same name.

    >>> name_stage({"en": 0.5, "ro": 1.0}), name_stage({"en": 0.5}, draw=2)
    ('ro1-en0.5', 'en0.5-draw2')
    """
    shares = [f"{language}{stage[language]:g}" for language in sorted(stage, reverse=True)]
    return "-".join([*shares, *([f"{_DRAW}{draw}"] if draw else [])])


def parse_stage(name: str) -> dict[str, float]:
    """Return the shares of a stage's name.

    >>> parse_stage("ro1-en0.5-draw2")
    {'ro': 1.0, 'en': 0.5}
    """
    parts = [part for part in name.split("-") if not part.startswith(_DRAW)]
    return {part[:2]: float(part[2:]) for part in parts}


def parse_draw(name: str) -> int:
    """Return which draw of its shares a stage's name means; 0 is the first, whose shares nest.

    >>> parse_draw("ro1-en0.5-draw2"), parse_draw("ro1-en0.5")
    (2, 0)
    """
    _, _, draw = name.partition(f"-{_DRAW}")
    return int(draw or 0)


def name_stages(recipe: Recipe, task: str) -> list[str]:
    """Return the name of what a task learns from in each of a recipe's stages."""
    return [
        name_stage(stage, draw=number if recipe.redraw and min(stage.values()) < 1 else 0)
        for number, stage in enumerate(recipe.list_stages(task))
    ]


def list_datasets(settings: Settings) -> list[str]:
    """Return every dataset of the tasks, Romanian before English, without repeats."""
    chosen = settings.data.tasks.values()
    names = [name for datasets in chosen for name in (datasets.ro, datasets.en, datasets.ood)]
    return list(dict.fromkeys(name for name in names if name is not None))


def list_training_datasets(settings: Settings) -> list[str]:
    """Return the datasets that have training rows, in the order of `list_datasets`."""
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
        "draw": parse_draw(mixture),
        "datasets": dict(zip(parse_stage(mixture), datasets, strict=True)),
        "caps": {name: caps[name] for name in datasets if name in caps},
        "salt": settings.mixtures.salt,
    }


def order_recipes(settings: Settings) -> list[str]:
    """Return the recipes to run and those they need, each after what it needs.

    A recipe needs its teachers, the one that its model starts from, and its reference.
    """
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
    """Return the scopes of a recipe: every task by itself, every two of them, or all together."""
    tasks = [task for task in settings.data.tasks if not recipe.tasks or task in recipe.tasks]
    named = {*recipe.tasks, *recipe.task_weights, *recipe.without}
    if unknown := sorted(named - set(settings.data.tasks)):
        raise SettingsError(
            f"recipes: no task is called {unknown[0]!r}; there are: "
            f"{', '.join(settings.data.tasks)}."
        )
    if idle := sorted(set(recipe.without) - set(tasks)):
        raise SettingsError(
            f"recipes: without: {idle[0]!r} is not among the recipe's tasks, {', '.join(tasks)}; "
            "nothing would be left out. Name one of them."
        )
    if recipe.scope == "task":
        return tasks
    groups = list(combinations(tasks, 2)) if recipe.scope == "pairs" else [tuple(tasks)]
    odd = [group for group in groups if len(group) not in (2, len(settings.data.tasks))]
    if odd:
        raise SettingsError(
            f"recipes: tasks: one model learns two tasks or all of them, not {', '.join(odd[0])}. "
            "Name two tasks, or none for all."
        )
    return [name_scope(group, settings) for group in groups]


def name_scope(tasks: Sequence[str], settings: Settings) -> str:
    """Return the name of a scope of several tasks."""
    return ALL_TASKS if list(tasks) == list(settings.data.tasks) else JOINT.join(tasks)


def list_tasks(scope: str, settings: Settings) -> list[str]:
    """Return the tasks of a scope, in the order of the settings."""
    return list(settings.data.tasks) if scope == ALL_TASKS else scope.split(JOINT)


def list_mixtures(cell: Cell, settings: Settings) -> list[Mixture]:
    """Return the training sets of a cell: stage by stage, task by task, without repeats.

    Those that an adversary reads without their labels come last.
    """
    adversary = settings.recipes[cell.recipe].adversary
    shown = [
        Mixture(task, name_stage(adversary.target))
        for task in list_tasks(cell.scope, settings)
        if adversary is not None
    ]
    return list(dict.fromkeys([*list_labelled_mixtures(cell, settings), *shown]))


def list_labelled_mixtures(cell: Cell, settings: Settings) -> list[Mixture]:
    """Return the training sets of a cell whose labels it learns."""
    tasks = list_tasks(cell.scope, settings)
    names = [name_stages(settings.recipes[cell.recipe], task) for task in tasks]
    mixtures = (
        Mixture(task, name)
        for stage in zip(*names, strict=True)
        for task, name in zip(tasks, stage, strict=True)
    )
    return list(dict.fromkeys(mixtures))


def list_validation(cell: Cell, settings: Settings) -> dict[str, str]:
    """Return the datasets whose validation rows choose the best epoch of a cell, by task."""
    recipe = settings.recipes[cell.recipe]
    return {
        task: getattr(settings.data.tasks[task], recipe.choose_selection(task))
        for task in list_tasks(cell.scope, settings)
    }


def list_all_mixtures(settings: Settings) -> list[Mixture]:
    """Return the training sets of every cell, sorted."""
    return sorted({m for cell in list_cells(settings) for m in list_mixtures(cell, settings)})


def needs_texts(settings: Settings) -> bool:
    """Return whether an encoder learns from texts.

    Which neural recipes run makes no difference, so that a new one does not make a new encoder.
    """
    if not any(settings.recipes[name].kind == "encoder" for name in order_recipes(settings)):
        return False
    return settings.encoders.learns_texts() or bool(list_students(settings))


def describe_student(name: str, settings: Settings) -> dict[str, object]:
    """Return what a student encoder depends on besides files, ready for JSON."""
    encoders = settings.encoders
    chosen = encoders.students[name].model_dump(mode="json")
    return {"distillation": chosen, "seed": encoders.seed, "half": encoders.half}


def list_students(settings: Settings) -> list[str]:
    """Return the student encoders that the recipes to run start from."""
    names = [settings.recipes[name].encoder for name in order_recipes(settings)]
    used = [name for name in dict.fromkeys(names) if name is not None]
    for name in used:
        if name not in settings.encoders.students:
            known = ", ".join(sorted(settings.encoders.students)) or "none"
            raise SettingsError(f"recipes: encoder: no student is called {name!r}; known: {known}.")
    return used


def describe_texts(settings: Settings) -> dict[str, object]:
    """Return what the encoder's texts depend on besides files, ready for JSON."""
    texts = settings.encoders.texts
    return {
        "training": list_training_datasets(settings) if texts.corpora else [],
        "evaluation": list(dict.fromkeys([*list_datasets(settings), *texts.kept_out])),
        "most_words": dict(texts.most_words),
        "salt": settings.mixtures.salt,
        "jaccard": settings.mixtures.near_duplicate_jaccard,
    }


def list_seeds(recipe: Recipe, settings: Settings) -> tuple[int, ...]:
    """Return the seeds of a recipe's cells; what is not neural has no randomness, hence one."""
    seeds = settings.training.seeds
    return seeds if recipe.kind == "encoder" else seeds[:1]


def count_processes(recipe: Recipe, settings: Settings) -> int:
    """Return how many processes train a recipe's model together: a critic needs all rows in one."""
    return 1 if recipe.adversary is not None else settings.training.processes


def choose_seed(seed: int, seeds: Sequence[int]) -> int:
    """Return the seed of another recipe's model that goes with a model's: its own, or the first.

    >>> choose_seed(1, (0, 1)), choose_seed(1, (0,))
    (1, 0)
    """
    return seed if seed in seeds else seeds[0]


def find_teacher(teacher: str, task: str, settings: Settings) -> Cell:
    """Return the cell of the recipe `teacher` that answers for `task`.

    Raises:
        SettingsError: no cell of it does, or several do.
    """
    scopes = list_scopes(settings.recipes[teacher], settings)
    answering = [scope for scope in scopes if task in list_tasks(scope, settings)]
    if len(answering) != 1:
        raise SettingsError(
            f"recipes.{teacher}: expected one model that answers for {task}, got "
            f"{len(answering)} (scopes: {', '.join(scopes)}). Name another teacher, or give this "
            "one the task."
        )
    return Cell(teacher, answering[0])


def list_teacher_logits(cell: Cell, settings: Settings) -> list[tuple[Cell, Mixture]]:
    """Return the logits a student learns from: (teacher cell, mixture), teachers in order."""
    return [
        (find_teacher(teacher, mixture.task, settings), mixture)
        for teacher in settings.recipes[cell.recipe].teachers
        for mixture in list_labelled_mixtures(cell, settings)
    ]


def list_logits_of(
    teacher: Cell, settings: Settings, *, out_of_fold: bool = False
) -> list[Mixture]:
    """Return the mixtures on which a teacher cell is asked by any student.

    `out_of_fold` asks for those on which the models of its folds are asked.
    """
    kind = "out_of_fold" if out_of_fold else "in_sample"
    students = (
        cell
        for cell in list_cells(settings)
        if teacher.recipe in settings.recipes[cell.recipe].teachers
        and settings.recipes[cell.recipe].teacher_logits == kind
    )
    wanted = {
        mixture
        for student in students
        for asked, mixture in list_teacher_logits(student, settings)
        if asked == teacher
    }
    return sorted(wanted)


def list_fold_questions(teacher: Cell, settings: Settings) -> list[Mixture]:
    """Return the mixtures that the models of a cell's folds are asked about, none if nobody asks.

    Where students ask about some of its tasks alone, its own mixtures stand for the others: what is
    stored of such a cell holds all its tasks.
    """
    asked = list_logits_of(teacher, settings, out_of_fold=True)
    tasks = {mixture.task for mixture in asked}
    own = list_labelled_mixtures(teacher, settings) if asked else []
    return sorted({*asked, *(mixture for mixture in own if mixture.task not in tasks)})


def find_start_cell(cell: Cell, settings: Settings) -> Cell | None:
    """Return the cell whose model a cell's training starts from, None where it is the encoder."""
    origin = settings.recipes[cell.recipe].init_from
    if origin is None:
        return None
    starts = {find_teacher(origin, task, settings) for task in list_tasks(cell.scope, settings)}
    if len(starts) > 1:
        raise SettingsError(
            f"recipes.{cell.recipe}: init_from: {origin} has one model for each of the tasks of "
            f"{cell.scope}; expected one model for all of them."
        )
    return starts.pop()


def _visit(settings: Settings, name: str, ordered: list[str], above: tuple[str, ...]) -> None:
    if name in above:
        raise SettingsError(f"recipes.{above[0]}: needs itself through {' -> '.join(above)}.")
    if name not in settings.recipes:
        where = f"recipes.{above[-1]}" if above else "training.recipes"
        known = ", ".join(sorted(settings.recipes))
        raise SettingsError(f"{where}: no recipe is called {name!r}; there are: {known}.")
    recipe = settings.recipes[name]
    needed = [*recipe.teachers, recipe.init_from, recipe.reference]
    for other in dict.fromkeys(other for other in needed if other is not None):
        _visit(settings, other, ordered, (*above, name))
    if recipe.teacher_logits == "out_of_fold":
        for teacher in recipe.teachers:
            _refuse_leak(name, teacher, settings)
            _refuse_pair(name, teacher, settings)
    if name not in ordered:
        ordered.append(name)


def _refuse_leak(student: str, teacher: str, settings: Settings) -> None:
    """Refuse a teacher whose models of folds learn, through others, of the rows held out."""
    recipe = settings.recipes[teacher]
    if recipe.init_from is not None:
        how = f"begin with those of {recipe.init_from}, which learned all rows"
    elif recipe.teachers:
        # Out of fold as well: the models that answered for one fold have learned the others.
        how = f"learn answers of {', '.join(recipe.teachers)}, whose models learned them"
    else:
        return
    raise SettingsError(
        f"recipes.{student}: teacher_logits: expected {teacher}'s models of folds to know nothing "
        f"of the rows held out, but they {how}. Nothing was planned; set it to in_sample, or name "
        "another teacher."
    )


def _refuse_pair(student: str, teacher: str, settings: Settings) -> None:
    scopes = list_scopes(settings.recipes[teacher], settings)
    if pair := next((scope for scope in scopes if JOINT in scope), None):
        raise SettingsError(
            f"recipes.{student}: teacher_logits: expected models of folds for one task or for all "
            f"of them, but {teacher} has one for {pair}. Nothing was planned; set it to in_sample, "
            "or name another teacher."
        )


def describe_training(cell: Cell, settings: Settings) -> dict[str, object]:
    """Return all that one cell's training depends on besides files, ready for JSON."""
    recipe = settings.recipes[cell.recipe]
    tasks = list_tasks(cell.scope, settings)
    training = settings.training
    # What a recipe is compared with, and why, changes nothing in its training.
    told = recipe.model_dump(mode="json", exclude={"question", "reference", "tasks"})
    common = {
        "recipe": told,
        "tasks": tasks,
        "validation": list_validation(cell, settings),
    }
    if recipe.kind != "encoder":
        linear = training.linear.model_dump(mode="json")
        return {**common, "linear": linear, "seed": training.seeds[0]}
    schedule = training.task if len(tasks) == 1 else training.joint
    optimisation = training.model_dump(
        mode="json",
        exclude={"recipes", "task", "joint", "linear", "folds", "threads", "gpus"},
    )
    start = find_start_cell(cell, settings)
    return {
        **common,
        **optimisation,
        "processes": count_processes(recipe, settings),
        "schedule": schedule.model_dump(mode="json"),
        "teacher_scopes": {
            teacher: {task: find_teacher(teacher, task, settings).scope for task in tasks}
            for teacher in recipe.teachers
        },
        "teacher_seeds": {
            teacher: list(list_seeds(settings.recipes[teacher], settings))
            for teacher in recipe.teachers
        },
        "start": start and _describe_start(start, settings),
    }


def describe_folds(cell: Cell, settings: Settings) -> dict[str, object]:
    """Return what the models of a cell's folds depend on besides files, ready for JSON."""
    drawn = {"count": settings.training.folds, "salt": settings.mixtures.salt}
    return {**describe_training(cell, settings), "folds": drawn}


def describe_prediction(scope: str, settings: Settings) -> dict[str, dict]:
    """Return which datasets a cell is tested on, ready for JSON."""
    chosen = {task: settings.data.tasks[task] for task in list_tasks(scope, settings)}
    return {"tasks": {task: datasets.model_dump() for task, datasets in chosen.items()}}


def _describe_start(start: Cell, settings: Settings) -> dict[str, object]:
    seeds = list_seeds(settings.recipes[start.recipe], settings)
    return {"recipe": start.recipe, "scope": start.scope, "seeds": list(seeds)}
