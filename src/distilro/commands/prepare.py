"""Turn a dataset's raw files into examples, one Parquet file per split, and a summary."""

import argparse
import logging
from pathlib import Path

from distilro.artifacts import write_json
from distilro.corpora.examples import write_examples
from distilro.corpora.fetch import read_manifest
from distilro.corpora.preparation import prepare_dataset
from distilro.corpora.registry import DEFAULT_LABEL_MAP, load_dataset, load_tasks
from distilro.errors import SettingsError

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--dataset", required=True, help="a name in the registry")
    parser.add_argument("--registry", required=True, type=Path, help="the registry's folder")
    parser.add_argument("--manifest", required=True, type=Path, help="what fetch wrote")
    parser.add_argument("--label-map", default=DEFAULT_LABEL_MAP, help="an alternative label map")
    parser.add_argument("--out", required=True, type=Path, help="folder of the examples")


def run(arguments: argparse.Namespace) -> None:
    """Write `<split>.parquet` for each split, then summary.json."""
    dataset = load_dataset(arguments.registry, arguments.dataset)
    tasks = load_tasks(arguments.registry)
    if dataset.task not in tasks:
        raise SettingsError(f"{dataset.name}: task: no {dataset.task!r} in tasks.yaml.")
    manifest = read_manifest(arguments.manifest, dataset)
    prepared = prepare_dataset(
        dataset,
        tasks[dataset.task],
        arguments.manifest.parent,
        reader=manifest.reader,
        label_map=arguments.label_map,
    )
    for split, examples in prepared.examples.items():
        write_examples(arguments.out / f"{split}.parquet", examples)
        logger.info("%s %s: %d rows", dataset.name, split, len(examples))
    write_json(arguments.out / "summary.json", prepared.summary)
