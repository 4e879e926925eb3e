"""Fetching a dataset: the first source that works, every file checked, a manifest last.

Files that are already there and are what they must be are kept. Nothing after this stage uses the
network. What a file is comes from the registry (pins.py checks), how bytes travel from
downloads.py, archives.py and hub.py.
"""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from distilro.artifacts import read_json, write_atomically, write_json
from distilro.corpora.archives import extract_members
from distilro.corpora.downloads import Retries, download, list_addresses
from distilro.corpora.hub import export_hub_dataset
from distilro.corpora.pins import Pin, Pins, explain_mismatch
from distilro.corpora.registry import (
    Dataset,
    FilesSource,
    HubSource,
    LocalFile,
    RemoteFile,
    RepositorySource,
    Source,
)
from distilro.errors import DataError, DistilroError, IntegrityError

logger = logging.getLogger(__name__)

MANIFEST_VERSION = 1
_LEFTOVERS = ".writing-*"


@dataclass(frozen=True)
class Manifest:
    """What lies in a dataset's raw folder, and which reader reads it."""

    dataset: str
    source: str
    reader: str
    files: dict[str, Pin]


@dataclass(frozen=True)
class Fetcher:
    """Where files come from and where they go."""

    registry: Path
    folder: Path
    mirror: str | None = None
    retries: Retries = field(default_factory=Retries)


def fetch_dataset(dataset: Dataset, fetcher: Fetcher) -> Manifest:
    """Bring a dataset's files into `fetcher.folder` and return what lies there.

    Args:
        dataset: its declaration; its sources are tried in their order.
        fetcher: the registry's folder, the target folder, the mirror, the retries.

    Raises:
        DistilroError: no source worked; the message tells why of each.
    """
    _sweep(fetcher.folder)
    failures: list[DistilroError] = []
    for source in dataset.sources:
        try:
            names = _fetch_source(dataset, source, fetcher)
        except DistilroError as error:
            failures.append(error)
            continue
        files = {name: Pin.of_file(fetcher.folder / name) for name in sorted(names)}
        return Manifest(dataset.name, source.kind, source.reader or dataset.reader, files)
    if len(failures) == 1:
        raise failures[0]
    told = "\n".join(f"{type(error).__name__}: {error}" for error in failures)
    raise type(failures[-1])(f"No source of {dataset.name} worked:\n{told}")


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest as JSON, without the address that was used: bytes are what counts."""
    files = [{"name": name, **vars(pin)} for name, pin in sorted(manifest.files.items())]
    content = {
        "version": MANIFEST_VERSION,
        "dataset": manifest.dataset,
        "source": manifest.source,
        "reader": manifest.reader,
        "files": files,
    }
    write_json(path, content)


def read_manifest(path: Path, dataset: Dataset) -> Manifest:
    """Read a manifest and check that its files still are what was fetched.

    Raises:
        IntegrityError: the manifest is another version's or dataset's, or a file has changed.
    """
    content = read_json(path)
    got = (content.get("version"), content.get("dataset"))
    if got != (MANIFEST_VERSION, dataset.name):
        raise IntegrityError(
            f"{path}: expected version {MANIFEST_VERSION} of {dataset.name}, got {got}. Run "
            "`distilro fetch` again."
        )
    files = {entry["name"]: Pin(entry["bytes"], entry["sha256"]) for entry in content["files"]}
    for name, pin in files.items():
        file = path.parent / name
        problem = explain_mismatch(file, pin) if file.is_file() else "the file is missing"
        if problem:
            raise IntegrityError(f"{file}: {problem}. Run `distilro fetch` again.")
    return Manifest(dataset.name, content["source"], content["reader"], files)


def _sweep(folder: Path) -> None:
    """Delete what killed runs left behind."""
    for path in sorted(folder.glob(_LEFTOVERS)):
        logger.info("Deleting %s, left by a run that was killed.", path)
        path.unlink(missing_ok=True)


def _fetch_source(dataset: Dataset, source: Source, fetcher: Fetcher) -> list[str]:
    pins = Pins(fetcher.registry, dataset.name)
    fetcher.folder.mkdir(parents=True, exist_ok=True)
    match source:
        case FilesSource():
            return [name for file in source.files for name in _fetch_file(file, fetcher, pins)]
        case RepositorySource():
            return [_copy_local(file, fetcher, pins) for file in source.files]
        case HubSource():
            return export_hub_dataset(source, fetcher.folder)


def _fetch_file(file: RemoteFile, fetcher: Fetcher, pins: Pins) -> list[str]:
    """Fetch a file or an archive's members, unless they lie there already; return their names."""
    wanted = file.archive.members if file.archive else [file]
    names = [part.name for part in wanted]
    if all(pins.holds(part, fetcher.folder / part.name) for part in wanted):
        logger.info("Kept %s", ", ".join(names))
        return names
    pin = pins.find(file)
    target = fetcher.folder / file.name
    download(
        list_addresses(file.urls, fetcher.mirror),
        target,
        lambda path: _accept(file, path, pins),
        limit_bytes=pin.bytes if pin else None,
        retries=fetcher.retries,
    )
    logger.info("Fetched %s", file.name)
    if file.archive:
        extract_members(target, file.archive, fetcher.folder, pins)
        target.unlink()
    return names


def _accept(file: RemoteFile, path: Path, pins: Pins) -> None:
    unseen = pins.find(file) is None
    pin = pins.accept(file, path)
    if unseen:
        logger.warning(
            "%s: nobody had recorded its sums. Accepted as it came (sha256 %s) and written down "
            "in %s; from now on it must be the same.",
            file.name, pin.sha256, pins.lock,
        )  # fmt: skip


def _copy_local(file: LocalFile, fetcher: Fetcher, pins: Pins) -> str:
    source = (fetcher.registry / file.path).resolve()
    home = fetcher.registry.resolve().parent
    if not source.is_relative_to(home):
        raise DataError(f"{file.path}: expected a file under {home}.")
    if not source.is_file():
        raise DataError(f"{source} is missing; expected a file of this repository. Check it out.")
    with write_atomically(fetcher.folder / file.name) as temporary:
        temporary.write_bytes(source.read_bytes())
        try:
            pins.accept(file, temporary)
        except IntegrityError as error:
            raise IntegrityError(
                f"{source}: {error}. Nothing was installed. If the file was edited on purpose, "
                "correct its sums in the registry."
            ) from None
    return file.name
