"""Turn the files of a collection into passages of plain text."""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distilro.artifacts import read_json
from distilro.commands.fetch_texts import VERSION as MANIFEST_VERSION
from distilro.corpora.cleaning import CLEANERS
from distilro.corpora.collections import Collection, load_collection
from distilro.corpora.passages import Passages, Repeats, cut_passages, write_passages
from distilro.corpora.pins import Pin, explain_mismatch
from distilro.errors import DataError, IntegrityError
from distilro.text import normalise

PASSAGE_WORDS = 80  # about 128 word pieces

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--collection", required=True, help="a name in the registry")
    parser.add_argument("--registry", required=True, type=Path, help="the registry's folder")
    parser.add_argument("--manifest", required=True, type=Path, help="what fetch-texts wrote")
    parser.add_argument("--out", required=True, type=Path, help="Parquet file of the passages")


def run(arguments: argparse.Namespace) -> None:
    """Clean every file in the manifest's order; repeated paragraphs come once."""
    collection = load_collection(arguments.registry, arguments.collection)
    entries, repeats = _read_manifest(arguments.manifest, collection), Repeats()
    texts, sources = [], []
    for entry in entries:
        path = arguments.manifest.parent / entry["sha256"]
        cleaned = _clean_file(path, entry, collection)
        normal = (normalise(paragraph, collection.language) for paragraph in cleaned)
        paragraphs = repeats.leave_out(paragraph for paragraph in normal if paragraph)
        # Sentences of a list have nothing to do with their neighbours.
        single = collection.cleaner == "sentences"
        passages = list(paragraphs if single else cut_passages(paragraphs, PASSAGE_WORDS))
        texts += passages
        sources += [entry["path"]] * len(passages)
    count = len(texts)
    if not count:
        raise DataError(
            f"{collection.name}: nothing was left of {len(entries)} files; expected "
            "passages. Nothing was written; look at the collection's cleaner."
        )
    language, name = [collection.language] * count, [collection.name] * count
    write_passages(arguments.out, Passages(texts, language, name, sources))
    words = sum(len(text.split()) for text in texts)
    logger.info("%s: %d passages, %d words", collection.name, count, words)


def _read_manifest(path: Path, collection: Collection) -> list[dict[str, Any]]:
    """Return a manifest's files: path, bytes and SHA-256 of each."""
    content = read_json(path)
    got = (content.get("version"), content.get("collection"))
    if got != (MANIFEST_VERSION, collection.name):
        raise IntegrityError(
            f"{path}: expected version {MANIFEST_VERSION} of {collection.name}, got {got}. Nothing "
            "was written; run fetch-texts again."
        )
    return content["files"]


def _clean_file(path: Path, entry: dict[str, Any], collection: Collection) -> Iterator[str]:
    """Return the paragraphs of a file, after checking its bytes."""
    pin, where = Pin(entry["bytes"], entry["sha256"]), f"{path} ({entry['path']})"
    problem = explain_mismatch(path, pin) if path.is_file() else "the file is missing"
    if problem:
        raise IntegrityError(f"{where}: {problem}. Nothing was written; run fetch-texts again.")
    try:
        return CLEANERS[collection.cleaner](path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{where}: line {line}: expected UTF-8, got {error}. Nothing was written; give the "
            "file a cleaner that knows its encoding, or leave it out of the collection."
        ) from error
    except DataError as error:
        raise DataError(
            f"{where}: {error}. Nothing was written; leave the file out of the collection."
        ) from error
