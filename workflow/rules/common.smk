"""What the phases share: the checked settings, the plan, and how a job gets its values."""

import gc
import json
import re
from pathlib import Path

from distilro import evidence, recipes
from distilro.corpora.choices import check_choice, list_local_files
from distilro.corpora.collections import load_collection
from distilro.corpora.registry import load_dataset
from distilro.roles import select_roles
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
CELLS = recipes.list_cells(SETTINGS)
GAPS = evidence.describe_gaps(SETTINGS)
EVIDENCE = ["comparisons", "influence", "gaps", "calibration", "loyalty"]
COLLECTIONS = list(SETTINGS.encoders.texts.collections) if recipes.needs_texts(SETTINGS) else []
# Datasets whose rows are kept out of the encoder's texts, beside those of the tasks.
KEPT_OUT = [d for d in SETTINGS.encoders.texts.kept_out if recipes.needs_texts(SETTINGS)]
ALL_DATASETS = list(dict.fromkeys([*DATASETS, *KEPT_OUT]))
SPLITS = {
    dataset: sorted(load_dataset("data/registry", dataset).splits) for dataset in ALL_DATASETS
}
TESTS_ALONE = [dataset for dataset in ALL_DATASETS if "train" not in SPLITS[dataset]]
for collection in COLLECTIONS:
    load_collection("data/registry", collection)  # an unknown one stops the run here
ENCODER_FILES = ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"]
LINEAR_FILES = ["model.safetensors", "config.json", "card.json"]
ENCODER = f"{RESULTS}/encoders/{SETTINGS.encoders.source}"
SEEDS = SETTINGS.training.seeds
NEURAL = [name for name, recipe in SETTINGS.recipes.items() if recipe.kind == "encoder"]
LINEAR = [name for name in SETTINGS.recipes if name not in NEURAL]
# Dozens of names as alternatives, tried on every file, would take most of a plan. A name that is no
# recipe's is an error of the functions below.
LINEAR_RECIPE = "|".join(LINEAR) or "(?!)"
NEURAL_RECIPE = rf"(?!(?:{LINEAR_RECIPE})\b)[a-z0-9_]+"
STUDENTS = recipes.list_students(SETTINGS)
SCOPES = list(dict.fromkeys(cell.scope for cell in CELLS))
JOINT_SCOPES = [scope for scope in SCOPES if scope not in TASKS]
MODEL_FILES = [*ENCODER_FILES, "card.json"]
MIXTURES = recipes.list_all_mixtures(SETTINGS)
NEURAL_CELLS = [cell for cell in CELLS if cell.recipe in NEURAL]


container: "docker://python:3.11-slim"


wildcard_constraints:
    dataset="|".join(ALL_DATASETS),
    collection="|".join(COLLECTIONS) or "(?!)",
    student="|".join(STUDENTS) or "(?!)",
    task="|".join(TASKS),
    first="|".join(TASKS),
    second="|".join(TASKS),
    recipe="[a-z0-9_]+",
    scope="|".join(re.escape(scope) for scope in SCOPES),
    mixture=r"(ro|en)[0-9.]+(-(ro|en)[0-9.]+)?(-draw[0-9]+)?",


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
    return list_folder(SETTINGS.encoders.folder)


def list_folder(folder):
    return sorted(map(str, Path(folder).glob("*.*")))


def other_teachers(wildcards):
    """Name the files of the encoders that teach a student beside the main one."""
    folders = SETTINGS.encoders.students[wildcards.student].teachers
    return [file for folder in folders for file in list_folder(folder)]


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


def fold_files(recipe, scope, task):
    """Name the cards of a teacher's fold models and their logits for a task, every seed."""
    folders = [f"{recipe}/{scope}/seed{seed}-folds" for seed in seeds_of(recipe)]
    cards = [f"{RESULTS}/models/{folder}/card.json" for folder in folders]
    ends = ("safetensors", "json")
    return cards + [f"{RESULTS}/logits/{folder}/{task}.{end}" for folder in folders for end in ends]


def texts_files():
    """Name the texts that an encoder learns from, with their counts; none where none does."""
    ends = ("parquet", "json") if recipes.needs_texts(SETTINGS) else ()
    return [f"{RESULTS}/mixtures/texts.{end}" for end in ends]


def encoder_of(wildcards):
    """Name the files of the encoder that a cell's models start from.

    Without its card, which tells settings that may leave the weights as they are.
    """
    student = SETTINGS.recipes[wildcards.recipe].encoder
    folder = ENCODER if student is None else f"{RESULTS}/encoders/students/{student}"
    return [f"{folder}/{file}" for file in ENCODER_FILES]


def mixture_files(mixtures):
    return [f"{RESULTS}/mixtures/{m.task}/{m.name}.parquet" for m in mixtures]


def validation_files(cell):
    """Name the validation rows that choose the best epochs of a cell."""
    names = recipes.list_validation(cell, SETTINGS).values()
    return [f"data/prepared/{name}/valid.parquet" for name in names]


def training_inputs(wildcards):
    """Name the mixtures, validation rows, teachers, logits and first model of a cell."""
    cell = recipes.Cell(wildcards.recipe, wildcards.scope)
    files = mixture_files(recipes.list_mixtures(cell, SETTINGS)) + validation_files(cell)
    out_of_fold = SETTINGS.recipes[wildcards.recipe].teacher_logits == "out_of_fold"
    for teacher, mixture in recipes.list_teacher_logits(cell, SETTINGS):
        if out_of_fold:
            files += fold_files(teacher.recipe, teacher.scope, mixture.task)
        else:
            files += logits_files(teacher.recipe, teacher.scope, mixture)
            files += model_files(teacher.recipe, teacher.scope)
    start = recipes.find_start_cell(cell, SETTINGS)
    return files + (model_files(start.recipe, start.scope) if start else [])


def fold_inputs(wildcards):
    """Name what the fold models of a teacher learn, and the mixtures that they are asked about."""
    cell = recipes.Cell(wildcards.recipe, wildcards.scope)
    asked = mixture_files(recipes.list_fold_questions(cell, SETTINGS))
    return list(dict.fromkeys([*training_inputs(wildcards), *asked]))


def fold_settings(wildcards):
    """Return what the models of a teacher's folds depend on, as JSON."""
    cell = recipes.Cell(wildcards.recipe, wildcards.scope)
    return as_json(recipes.describe_folds(cell, SETTINGS))


def fold_mixtures(wildcards):
    """Name the mixtures that a teacher's folds are asked about, as the command wants them."""
    cell = recipes.Cell(wildcards.recipe, wildcards.scope)
    asked = recipes.list_fold_questions(cell, SETTINGS)
    return " ".join(f"{mixture.task}-{mixture.name}" for mixture in asked)


def training_settings(wildcards):
    """Return what one cell's training depends on, as JSON."""
    return as_json(
        recipes.describe_training(recipes.Cell(wildcards.recipe, wildcards.scope), SETTINGS)
    )


def processes_of(wildcards):
    return recipes.count_processes(SETTINGS.recipes[wildcards.recipe], SETTINGS)


def training_gpus(wildcards):
    """Return the GPUs that all processes of a training use together."""
    return SETTINGS.training.gpus * processes_of(wildcards)


def training_program(wildcards):
    """Return the command that starts a training's process, or all of them."""
    count = processes_of(wildcards)
    if count == 1:
        return "distilro"
    return f"torchrun --standalone --nproc-per-node {count} -m distilro.cli"


def single_predictions(seeds):
    """Name the predictions of a model of one task, with the wildcards recipe and scope."""
    folder = f"{RESULTS}/predictions/{{recipe}}/{{scope}}"
    return [f"{folder}/seed{seed}/{{scope}}.parquet" for seed in seeds]


def name_pair(wildcards):
    return f"{wildcards.first}{recipes.JOINT}{wildcards.second}"


def prediction_files(recipe, scope):
    """Name the predictions of a cell: a file for each seed and task."""
    tasks = recipes.list_tasks(scope, SETTINGS)
    return [
        f"{RESULTS}/predictions/{recipe}/{scope}/seed{seed}/{task}.parquet"
        for seed in seeds_of(recipe)
        for task in tasks
    ]


def predictions_of_recipe(wildcards):
    scopes = recipes.list_scopes(SETTINGS.recipes[wildcards.recipe], SETTINGS)
    return [file for scope in scopes for file in prediction_files(wildcards.recipe, scope)]


def all_predictions():
    return [file for cell in CELLS for file in prediction_files(cell.recipe, cell.scope)]


def prediction_settings(wildcards):
    return prediction_settings_of(wildcards.scope)


def prediction_settings_of(scope):
    return as_json(recipes.describe_prediction(scope, SETTINGS))


def test_files(wildcards):
    return test_files_of(wildcards.scope)


def test_files_of(scope):
    """Name the prepared rows that a cell is tested on."""
    described = recipes.describe_prediction(scope, SETTINGS)["tasks"]
    files = [
        f"data/prepared/{datasets[role.dataset]}/{role.split}.parquet"
        for datasets in described.values()
        for role in select_roles(ood=datasets["ood"] is not None)
    ]
    return list(dict.fromkeys(files))


def gap_inputs():
    """Name the models in whose features a gap is measured, and the texts it is measured on."""
    cells = [(pair["recipe"], pair["scope"]) for pair in GAPS["pairs"]]
    cells += [(pair["reference"], pair["reference_scope"]) for pair in GAPS["pairs"]]
    models = [file for cell in dict.fromkeys(cells) for file in model_files(*cell)]
    names = [name for datasets in GAPS["texts"].values() for name in datasets.values()]
    return models + [f"data/prepared/{name}/valid.parquet" for name in names]


def mixture_settings(wildcards):
    """Return what one mixture depends on, as JSON."""
    return as_json(recipes.describe_mixture(wildcards.task, wildcards.mixture, SETTINGS))
