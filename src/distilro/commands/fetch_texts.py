"""Fetch the files of a collection of running text and check them against the registry."""

import argparse
import logging
import os
from pathlib import Path

from distilro.artifacts import write_json
from distilro.commands.fetch import MIRROR_VARIABLE
from distilro.corpora.collections import CollectionFile, list_files, load_collection
from distilro.corpora.downloads import download, list_addresses
from distilro.corpora.pins import explain_mismatch
from distilro.errors import IntegrityError
from distilro.progress import show_progress

VERSION = 1

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; the environment variable DISTILRO_MIRROR names a mirror."""
    parser.add_argument("--collection", required=True, help="a name in the registry")
    parser.add_argument("--registry", required=True, type=Path, help="the registry's folder")
    parser.add_argument("--out", required=True, type=Path, help="the manifest; files go beside it")


def run(arguments: argparse.Namespace) -> None:
    """Bring every file into the manifest's folder, named by its hash, then write the manifest."""
    collection = load_collection(arguments.registry, arguments.collection)
    files = list_files(arguments.registry, collection)
    mirror = os.environ.get(MIRROR_VARIABLE) or None
    with show_progress(len(files), what=f"fetching {collection.name}", unit="file") as bar:
        for file in files:
            _fetch(file, arguments.out.parent / file.pin.sha256, mirror)
            bar.update()
    listed = [{"path": file.path, **vars(file.pin)} for file in files]
    content = {"version": VERSION, "collection": collection.name, "files": listed}
    write_json(arguments.out, content)
    logger.info("%s: %d files", collection.name, len(files))


def _fetch(file: CollectionFile, target: Path, mirror: str | None) -> None:
    if target.is_file() and explain_mismatch(target, file.pin) is None:
        return

    def check(path: Path) -> None:
        if problem := explain_mismatch(path, file.pin):
            raise IntegrityError(f"{file.path}: {problem}")

    addresses = list_addresses([file.url], mirror)
    download(addresses, target, check, limit_bytes=file.pin.bytes)
