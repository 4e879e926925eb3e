"""What the phases share: the checked settings, the plan, and how a job gets its values."""

import gc
import json
from pathlib import Path

from distilro import recipes
from distilro.corpora.choices import check_choice, list_local_files
from distilro.corpora.registry import load_dataset
from distilro.settings import check_settings
from distilro.sources import list_sources

# A plan is a million small objects that live to its end: by default Python looks for dead ones
# among them so often that it takes a tenth of the time.
gc.set_threshold(100_000)

SETTINGS = check_settings(config)
check_choice(SETTINGS.data.tasks, "data/registry")
RESULTS = f"results/{SETTINGS.scenario}"
LOGS = f"logs/{SETTINGS.scenario}"
BENCHMARKS = f"benchmarks/{SETTINGS.scenario}"

TASKS = list(SETTINGS.data.tasks)
DATASETS = recipes.list_datasets(SETTINGS)
SPLITS = {dataset: sorted(load_dataset("data/registry", dataset).splits) for dataset in DATASETS}
CELLS = recipes.list_cells(SETTINGS)
TEST_SETS = ["ro", "ro-stripped", "ro-valid", "en"]
ENCODER_FILES = ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"]
LINEAR_FILES = ["model.safetensors", "config.json", "card.json"]
ENCODER = f"{RESULTS}/encoders/{SETTINGS.encoders.source}"
SEEDS = SETTINGS.training.seeds
LINEAR = [name for name, recipe in SETTINGS.recipes.items() if recipe.kind == "linear"]
NEURAL = [name for name in SETTINGS.recipes if name not in LINEAR]
MODEL_FILES = [*ENCODER_FILES, "card.json"]
MIXTURES = recipes.list_all_mixtures(SETTINGS)
NEURAL_CELLS = [cell for cell in CELLS if cell.recipe in NEURAL]


container: "docker://python:3.11-slim"


wildcard_constraints:
    dataset="|".join(DATASETS),
    task="|".join(TASKS),
    recipe="|".join(SETTINGS.recipes),
    scope="|".join([*TASKS, recipes.ALL_TASKS]),
    mixture=r"(ro|en)[0-9.]+(-(ro|en)[0-9.]+)?",


localrules:
    all,
    data,
    mixtures,
    encoders,
    training,
    evaluation,
    delivery,


def code(command):
    """Name the sources behind a command as inputs, so that an edit runs its jobs again."""
    return list_sources(command)


def local_sources(wildcards):
    """Name the files of this repository that `fetch` copies; none for most datasets."""
    return list_local_files("data/registry", wildcards.dataset)


def as_json(values):
    """Return values as one JSON text with sorted keys.

    Snakemake compares the bare set of a job's parameter values: with one value per parameter it
    would miss a change to a value that another parameter already has.
    """
    return json.dumps(values, sort_keys=True, ensure_ascii=False)


def encoder_sources():
    """Name the files of an encoder that comes from a folder of this machine."""
    if SETTINGS.encoders.source != "folder":
        return []
    return sorted(map(str, Path(SETTINGS.encoders.folder).glob("*.*")))


def seeds_of(recipe):
    return recipes.list_seeds(SETTINGS.recipes[recipe], SETTINGS)


def model_files(recipe, scope):
    """Name every file of a cell's models."""
    files = LINEAR_FILES if recipe in LINEAR else MODEL_FILES
    folder = f"{RESULTS}/models/{recipe}/{scope}"
    return [f"{folder}/seed{seed}/{file}" for seed in seeds_of(recipe) for file in files]


def logits_files(recipe, scope, mixture):
    """Name the stored logits of a teacher cell on one mixture, every seed."""
    folder = f"{RESULTS}/logits/{recipe}/{scope}"
    stem = f"{mixture.task}-{mixture.name}"
    return [
        f"{folder}/seed{s}/{stem}.{end}"
        for s in seeds_of(recipe)
        for end in ("safetensors", "json")
    ]


def training_inputs(wildcards):
    """Name the mixtures, validation rows, teachers and teacher logits of a cell."""
    cell = recipes.Cell(wildcards.recipe, wildcards.scope)
    mixtures = recipes.list_mixtures(cell, SETTINGS)
    taught = recipes.list_teacher_logits(cell, SETTINGS)
    files = [f"{RESULTS}/mixtures/{m.task}/{m.name}.parquet" for m in mixtures]
    if wildcards.recipe in NEURAL:
        tasks = recipes.list_tasks(wildcards.scope, SETTINGS)
        files += [f"data/prepared/{SETTINGS.data.tasks[t].ro}/valid.parquet" for t in tasks]
    files += [f for t, m in taught for f in logits_files(t.recipe, t.scope, m)]
    return files + [f for t, _ in taught for f in model_files(t.recipe, t.scope)]


def training_settings(wildcards):
    """Return what one cell's training depends on, as JSON."""
    return as_json(
        recipes.describe_training(recipes.Cell(wildcards.recipe, wildcards.scope), SETTINGS)
    )


def prediction_files(recipe, scope, seeds=None):
    """Name every prediction of a cell."""
    return [
        f"{RESULTS}/predictions/{recipe}/{scope}/seed{seed}/{task}/{name}.parquet"
        for seed in seeds_of(recipe)
        for task in recipes.list_tasks(scope, SETTINGS)
        for name in TEST_SETS
    ]


def predictions_of_recipe(wildcards):
    scopes = [cell.scope for cell in CELLS if cell.recipe == wildcards.recipe]
    return [file for scope in scopes for file in prediction_files(wildcards.recipe, scope)]


def prediction_settings(wildcards):
    return as_json(recipes.describe_prediction(wildcards.scope, SETTINGS))


def test_files(wildcards):
    chosen = [SETTINGS.data.tasks[task] for task in recipes.list_tasks(wildcards.scope, SETTINGS)]
    names = [f"{datasets.ro}/{split}" for datasets in chosen for split in ("test", "valid")]
    return [f"data/prepared/{n}.parquet" for n in names + [f"{d.en}/test" for d in chosen]]


def mixture_settings(wildcards):
    """Return what one mixture depends on, as JSON."""
    return as_json(recipes.describe_mixture(wildcards.task, wildcards.mixture, SETTINGS))
