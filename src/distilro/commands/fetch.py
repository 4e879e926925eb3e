"""Fetch a dataset's files, check them against the registry, and write a manifest."""

import argparse
import os
from pathlib import Path

from distilro.corpora.fetch import Fetcher, fetch_dataset, write_manifest
from distilro.corpora.registry import load_dataset

MIRROR_VARIABLE = "DISTILRO_MIRROR"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; the environment variable DISTILRO_MIRROR names a mirror."""
    parser.add_argument("--dataset", required=True, help="a name in the registry")
    parser.add_argument("--registry", required=True, type=Path, help="the registry's folder")
    parser.add_argument("--out", required=True, type=Path, help="the manifest; files go beside it")


def run(arguments: argparse.Namespace) -> None:
    """Bring the files into the manifest's folder, then write the manifest."""
    dataset = load_dataset(arguments.registry, arguments.dataset)
    mirror = os.environ.get(MIRROR_VARIABLE) or None
    fetcher = Fetcher(arguments.registry, arguments.out.parent, mirror)
    write_manifest(arguments.out, fetch_dataset(dataset, fetcher))
