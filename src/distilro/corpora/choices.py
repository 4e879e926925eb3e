"""Whether the datasets that the settings choose fit their tasks, known before any job runs."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from distilro.corpora.registry import Dataset, RepositorySource, load_dataset, load_tasks
from distilro.errors import SettingsError
from distilro.settings import TaskDatasets

NEEDED_SPLITS = ("train", "valid", "test")


def check_choice(tasks: Mapping[str, TaskDatasets], registry: str | Path) -> None:
    """Raise SettingsError unless every task is known and both its datasets fit it.

    Args:
        tasks: task -> its Romanian and its English dataset, as in `data.tasks`.
        registry: folder of the registry.
    """
    known = load_tasks(registry)
    for task, datasets in tasks.items():
        if task not in known:
            raise SettingsError(
                f"data.tasks.{task}: no such task; tasks.yaml has: {', '.join(sorted(known))}."
            )
        for language, name in (("ro", datasets.ro), ("en", datasets.en)):
            where = f"data.tasks.{task}.{language}"
            _check_dataset(where, (task, language), load_dataset(registry, name), NEEDED_SPLITS)
        if datasets.ood is not None:
            dataset = load_dataset(registry, datasets.ood)
            _check_dataset(f"data.tasks.{task}.ood", (task, "ro"), dataset, ("test",))


def list_local_files(registry: str | Path, dataset: str) -> list[str]:
    """Return the files of this repository that a dataset is made of; none for most datasets."""
    sources = load_dataset(registry, dataset).sources
    local = [source for source in sources if isinstance(source, RepositorySource)]
    return [
        os.path.normpath(Path(registry, file.path)) for source in local for file in source.files
    ]


def _check_dataset(
    where: str, expected: tuple[str, str], dataset: Dataset, needed: Sequence[str]
) -> None:
    if (dataset.task, dataset.language) != expected:
        raise SettingsError(
            f"{where}: expected a dataset of {expected[0]} in {expected[1]}, got {dataset.name}, "
            f"which is one of {dataset.task} in {dataset.language}."
        )
    missing = [split for split in needed if split not in dataset.splits]
    if missing:
        raise SettingsError(
            f"{where}: {dataset.name} has no split {', '.join(missing)}; a dataset of a task needs "
            f"{', '.join(needed)} here."
        )
