"""What is compared with what: the evidence that a run of these settings gathers.

Pure functions of the settings, used by the workflow. The statistics stand in `evaluation`.
"""

from distilro.recipes import (
    Cell,
    find_teacher,
    list_cells,
    list_datasets_of,
    list_mixtures,
    list_scopes,
    list_tasks,
    order_recipes,
)
from distilro.settings import Recipe, Settings


def describe_comparisons(settings: Settings) -> dict[str, object]:
    """Return the one family of comparisons and the plain cells of a run, ready for JSON.

    The family is declared by the recipes: each against its reference, on each of its tasks.
    """
    return {
        "evaluation": settings.evaluation.model_dump(mode="json"),
        "seeds_needed": settings.evaluation.seeds_needed,
        "family": [row for name in order_recipes(settings) for row in _compare(name, settings)],
        "cells": _list_plain_cells(settings),
        "test_sets": {
            task: ["ro", "en", *(["ood"] if datasets.ood is not None else [])]
            for task, datasets in settings.data.tasks.items()
        },
        "deterministic": [
            name for name in order_recipes(settings) if settings.recipes[name].kind != "encoder"
        ],
    }


def describe_loyalty(settings: Settings) -> dict[str, object]:
    """Return which students are compared with which teachers, ready for JSON."""
    pairs = [
        {
            "student": cell.recipe,
            "student_scope": cell.scope,
            "teacher": teacher,
            "teacher_scope": find_teacher(teacher, task, settings).scope,
            "task": task,
        }
        for cell in list_cells(settings)
        for teacher in _list_origins(settings.recipes[cell.recipe])
        for task in list_tasks(cell.scope, settings)
    ]
    return {"evaluation": settings.evaluation.model_dump(mode="json"), "pairs": pairs}


def describe_gaps(settings: Settings) -> dict[str, object]:
    """Return in whose features the gap between languages is measured, ready for JSON.

    Each recipe with an adversary is set beside its reference, where that is a neural one without
    an adversary, on each of its tasks.
    """
    pairs = [
        row
        for name in order_recipes(settings)
        if settings.recipes[name].adversary is not None
        for row in _compare(name, settings)
        if _has_features_untouched(settings.recipes[row["reference"]])
    ]
    datasets = {row["task"]: settings.data.tasks[row["task"]] for row in pairs}
    return {
        "seeds": list(settings.training.seeds),
        "texts": {task: {"en": each.en, "ro": each.ro} for task, each in datasets.items()},
        "pairs": pairs,
    }


def _has_features_untouched(recipe: Recipe) -> bool:
    return recipe.kind == "encoder" and recipe.adversary is None


def _list_origins(recipe: Recipe) -> list[str]:
    """Return the recipes that a student was taught by or, smaller, made from."""
    made_from = [recipe.init_from] if recipe.init_from and recipe.alignment else []
    return list(dict.fromkeys([*recipe.teachers, *made_from]))


def _compare(name: str, settings: Settings) -> list[dict[str, str]]:
    """Return the comparisons of a recipe with its reference, one for each scope and task."""
    recipe = settings.recipes[name]
    if recipe.reference is None:
        return []
    rows = [
        {"task": task, "recipe": name, "scope": scope, "reference": recipe.reference}
        for scope in list_scopes(recipe, settings)
        for task in list_tasks(scope, settings)
    ]
    return [
        {**row, "reference_scope": find_teacher(recipe.reference, row["task"], settings).scope}
        for row in rows
    ]


def _list_plain_cells(settings: Settings) -> list[dict[str, object]]:
    """Return the cells that differ in their data, with the datasets of each of their tasks.

    Of several that learn the same data, the first one speaks. What else they were trained with
    comes along, so that an effect is not taken for that of the data alone.
    """
    described: dict[tuple, dict[str, object]] = {}
    for cell in list_cells(settings):
        if _is_plain(settings.recipes[cell.recipe]):
            datasets = _list_learned(cell, settings)
            key = tuple((task, tuple(names)) for task, names in sorted(datasets.items()))
            row = {
                "recipe": cell.recipe,
                "scope": cell.scope,
                "datasets": datasets,
                "conditions": _describe_conditions(cell, settings),
            }
            described.setdefault(key, row)
    return list(described.values())


def _describe_conditions(cell: Cell, settings: Settings) -> dict[str, str]:
    recipe = settings.recipes[cell.recipe]
    tasks = list_tasks(cell.scope, settings)
    joint = len(tasks) > 1
    schedule = settings.training.joint if joint else settings.training.task
    conditions = {
        "schedule": schedule.model_dump_json(),
        **{f"language of validation of {task}": recipe.choose_selection(task) for task in tasks},
    }
    return {**conditions, "sampling": str(recipe.sampling)} if joint else conditions


def _is_plain(recipe: Recipe) -> bool:
    special = (recipe.teachers, recipe.adversary, recipe.init_from, recipe.encoder, recipe.votes)
    whole = all(share == 1.0 for stage in recipe.stages for share in stage.values())
    fixed = recipe.weighting == "fixed" and not recipe.task_weights
    return (
        recipe.kind == "encoder"
        and not any(special)
        and fixed
        and whole
        and len(recipe.stages) == 1
    )


def _list_learned(cell: Cell, settings: Settings) -> dict[str, list[str]]:
    """Return the datasets of each task that a cell learns."""
    return {
        mixture.task: sorted(list_datasets_of(mixture.task, mixture.name, settings))
        for mixture in list_mixtures(cell, settings)
    }
