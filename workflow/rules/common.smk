"""What the phases share: the checked settings, the plan, and how a job gets its values."""

import json

from distilro import recipes
from distilro.corpora.registry import load_dataset
from distilro.settings import check_settings
from distilro.sources import list_sources

SETTINGS = check_settings(config)
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


def as_json(values):
    """Return values as one JSON text with sorted keys.

    Snakemake compares the bare set of a job's parameter values: with one value per parameter it
    would miss a change to a value that another parameter already has.
    """
    return json.dumps(values, sort_keys=True, ensure_ascii=False)
