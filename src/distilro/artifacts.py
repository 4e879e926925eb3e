"""Files between stages: written whole or not at all, and known by their hashes.

A write goes to a temporary name in the same folder, is flushed to the disk and then renamed, so
that a reader never sees half a file, whatever kills the writer. This module knows JSON, hashes
and atomic writes; the schemas of the files belong to the modules that own them.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distilro.errors import IntegrityError

_CHUNK_BYTES = 1 << 20


@contextmanager
def write_atomically(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success sync it and rename it into place.

    On any error, or when the process is killed, `path` is what it was before: absent or whole.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with write_atomically(target) as temporary:
    ...     _ = temporary.write_text("whole", encoding="utf-8")
    >>> target.read_text(encoding="utf-8")
    'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # subtle: the suffix stays, because some writers choose the format by it.
    handle, name = tempfile.mkstemp(prefix=".writing-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text with LF line ends, atomically."""
    with write_atomically(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path: str | Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write a JSON value with sorted keys, so that equal values are equal bytes; NaN is refused."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: str | Path) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON file, with the file's name in the error where it is absent or malformed."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise IntegrityError(
            f"{path} is missing; expected a JSON file. Run the stage that makes it."
        ) from None
    except ValueError as error:
        raise IntegrityError(
            f"{path} is not valid JSON ({error}). Delete it and run its stage again."
        ) from error


def hash_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hex digits, reading it in pieces."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def hash_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return the SHA-256 of a JSON value's canonical form: independent of key order and spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
