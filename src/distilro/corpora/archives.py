"""Taking declared members out of a zip or tar archive that nobody trusts.

The whole archive is looked through first, and refused as a whole if any of its entries could write
elsewhere, is not a plain file or folder, stands twice, or if together they are too many or too
large. Only the members that the registry names are then written, each under its declared name.
"""

import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from distilro.artifacts import write_atomically
from distilro.corpora.pins import Pins
from distilro.corpora.registry import Archive, Member
from distilro.errors import IntegrityError

_CHUNK_BYTES = 1 << 18
_PLAIN_TAR_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)


@dataclass(frozen=True)
class _Entry:
    name: str
    size_bytes: int
    plain: bool  # a file or a folder: no link, no device


def extract_members(path: Path, archive: Archive, folder: Path, pins: Pins) -> None:
    """Write the declared members of the archive at `path` into `folder`, each checked.

    Raises:
        IntegrityError: the archive is malformed or unsafe (nothing was written), or a member is
            missing or not what the registry promises (that member was not written).
    """
    try:
        if archive.format == "zip":
            with zipfile.ZipFile(path) as opened:
                _check_entries(_list_zip(opened), archive, path.name)
                for member in archive.members:
                    with opened.open(member.path) as source:
                        _write_member(source, member, folder, pins)
        else:
            with tarfile.open(path, "r:*") as opened:
                _check_entries(_list_tar(opened), archive, path.name)
                for member in archive.members:
                    source = opened.extractfile(member.path)
                    if source is None:
                        raise KeyError(member.path)
                    _write_member(source, member, folder, pins)
    except KeyError as error:
        raise IntegrityError(f"{path.name}: no file {error} in the archive.") from None
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise IntegrityError(f"{path.name}: malformed {archive.format} archive: {error}") from None


def _list_zip(opened: zipfile.ZipFile) -> Iterator[_Entry]:
    for info in opened.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        # subtle: `filename` ends at a NUL; `orig_filename` is what the archive really says.
        yield _Entry(info.orig_filename, info.file_size, kind in (0, stat.S_IFREG, stat.S_IFDIR))


def _list_tar(opened: tarfile.TarFile) -> Iterator[_Entry]:
    for info in opened:
        yield _Entry(info.name, info.size, info.type in _PLAIN_TAR_TYPES)


def _check_entries(entries: Iterator[_Entry], archive: Archive, where: str) -> None:
    """Refuse an archive with an unsafe entry; stops at the first, so a bomb is not unpacked."""
    seen: set[str] = set()
    total_bytes = 0
    for entry in entries:
        problem = _find_problem(entry)
        path = PurePosixPath(entry.name).as_posix().casefold()
        if path in seen:
            problem = "stands twice"
        seen.add(path)
        total_bytes += entry.size_bytes
        if problem:
            raise IntegrityError(
                f"{where}: entry {entry.name!r} {problem}; the archive was refused, nothing was "
                "written. Review it before you trust its source again."
            )
        if total_bytes > archive.max_bytes or len(seen) > archive.max_members:
            raise IntegrityError(
                f"{where}: more than {archive.max_bytes} bytes or {archive.max_members} entries "
                "unpacked; the archive was refused, nothing was written."
            )


def _find_problem(entry: _Entry) -> str | None:
    """Return why an entry is unsafe, None where it is not."""
    if "\0" in entry.name or "\\" in entry.name or not entry.name:
        return "has a name with a backslash or NUL, or none"
    base = Path("/base")
    # subtle: compared path by path, since "/base-evil" starts with "/base" as text.
    target = Path(*_resolve(base, entry.name))
    if PurePosixPath(entry.name).is_absolute() or not target.is_relative_to(base):
        return "leads out of the folder"
    if not entry.plain:
        return "is a link or a device"
    return None


def _resolve(base: Path, name: str) -> list[str]:
    parts = list(base.parts)
    for part in PurePosixPath(name).parts:
        if part == "..":
            parts = parts[:-1] or ["/"]
        else:
            parts.append(part)
    return parts


def _write_member(source: BinaryIO, member: Member, folder: Path, pins: Pins) -> None:
    """Copy one member in pieces, no further than its declared size, and check it."""
    pin = pins.find(member)
    limit_bytes = pin.bytes if pin else None
    got = 0
    with write_atomically(folder / member.name) as temporary:
        with temporary.open("wb") as file:
            while chunk := source.read(_CHUNK_BYTES):
                got += len(chunk)
                if limit_bytes is not None and got > limit_bytes:
                    raise IntegrityError(
                        f"{member.path}: expected {limit_bytes} bytes, the archive holds more; "
                        "deleted, nothing installed."
                    )
                file.write(chunk)
        try:
            pins.accept(member, temporary)
        except IntegrityError as error:
            raise IntegrityError(f"{member.path}: {error}; deleted, nothing installed.") from None
