"""Collections: openly licensed running text, without labels, for language modelling.

One YAML file per collection in `data/registry/texts/` says what it is, its licence and how it is
cleaned; a table beside it (`<name>.tsv`) pins every file by path, SHA-256 and size. Paths are
relative to the collection's address at one commit. This module loads and checks these
declarations; it fetches nothing and reads no text.
"""

import re
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from distilro.corpora.pins import Pin
from distilro.corpora.registry import Declared, Name, check_declared, read_yaml
from distilro.errors import SettingsError

FOLDER = "texts"

_HEADER = ["path", "sha256", "bytes"]
# A path inside the repository, never out of it; SHA-256; a size above 0.
_LINE = re.compile(
    r"(?P<path>(?!/)(?!(?:[^\t]*/)?\.\.?(?:/|\t))[^\t]+)\t(?P<sha256>[0-9a-f]{64})\t"
    r"(?P<bytes>[1-9][0-9]*)"
)


class Collection(Declared):
    """Running text in one language from one repository at one commit."""

    name: Name
    title: str
    language: Literal["ro", "en"]
    licence: str
    redistributable: bool = Field(
        description="Whether a model made from it may be handed on under the project's licence."
    )
    address: Annotated[str, Field(pattern=r"^https://.+/[0-9a-f]{40}/$")] = Field(
        description="What the paths of its files are relative to."
    )
    cleaner: Literal["plain", "markdown", "tei", "sentences"]
    notes: str = Field("", description="What a reader must know of it.")


@dataclass(frozen=True)
class CollectionFile:
    """One file of a collection: its path, its address and what its bytes must be."""

    path: str
    url: str
    pin: Pin


def list_collections(registry: str | Path) -> list[str]:
    """Return the names of all collections, sorted."""
    return sorted(path.stem for path in (Path(registry) / FOLDER).glob("*.yaml"))


def load_collection(registry: str | Path, name: str) -> Collection:
    """Return one collection's declaration, checked.

    Raises:
        SettingsError: there is no such collection, or its file is not a declaration.
    """
    known = list_collections(registry)
    if name not in known:
        raise SettingsError(
            f"encoders.texts.collections: no collection {name!r}; there are: {', '.join(known)}."
        )
    path = Path(registry) / FOLDER / f"{name}.yaml"
    collection = check_declared(Collection, read_yaml(path), str(path))
    if collection.name != name:
        raise SettingsError(f"{path}: name: expected {name!r}, got {collection.name!r}.")
    return collection


def list_files(registry: str | Path, collection: Collection) -> list[CollectionFile]:
    """Return the files of a collection in the order of its table.

    Raises:
        SettingsError: the table is missing, empty or not UTF-8, a line of it is not path, SHA-256
            and bytes, or a path stands twice.
    """
    path = Path(registry) / FOLDER / f"{collection.name}.tsv"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise SettingsError(f"{path} is missing; expected the files of the collection.") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: expected UTF-8, got {error}.") from None
    if lines[0].split("\t") != _HEADER:
        raise SettingsError(f"{path}:1: expected the columns {', '.join(_HEADER)}, got {lines[0]}.")
    rows = lines[1:-1] if lines[-1] == "" else lines[1:]
    files: dict[str, CollectionFile] = {}
    for number, line in enumerate(rows, start=2):
        file = _read_file(collection, line, f"{path}:{number}")
        if file.path in files:
            raise SettingsError(f"{path}:{number}: {file.path} stands twice; expected it once.")
        files[file.path] = file
    if not files:
        raise SettingsError(f"{path}: expected one file at least, got none.")
    return list(files.values())


def _read_file(collection: Collection, line: str, where: str) -> CollectionFile:
    match = _LINE.fullmatch(line)
    if match is None:
        raise SettingsError(f"{where}: expected path, SHA-256 and bytes, got {line!r}.")
    name = match["path"]
    url = collection.address + urllib.parse.quote(name)
    return CollectionFile(name, url, Pin(int(match["bytes"]), match["sha256"]))
