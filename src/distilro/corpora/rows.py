"""Rows as their publishers wrote them, and strict reading of the few file formats they come in.

Every reader here refuses what it does not understand, with the file and the line. Text is decoded
strictly and split at line feeds only (U+2028 and the like belong to the text).
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distilro.errors import DataError

_SURROGATES = range(0xD800, 0xE000)


@dataclass(frozen=True)
class Row:
    """One row: its text, its labels in the source's own words, and where it stands.

    `stratum` groups rows that a carved split must hold in proportion; `votes` is source label ->
    share of annotators, where the source tells.
    """

    text: str
    labels: tuple[str, ...]
    source_row: str
    stratum: str = ""
    votes: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Dropped:
    """A row that is left out, and why."""

    source_row: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """What a reader returns: the rows of each split and those it left out."""

    splits: dict[str, list[Row]]
    dropped: list[Dropped] = field(default_factory=list)


def read_text(path: Path) -> str:
    """Return a UTF-8 file's text, without a byte order mark; DataError at the first bad byte."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path} is missing. Run `distilro fetch` for its dataset.") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line}: expected UTF-8, got the byte 0x{error.object[error.start]:02x}. "
            "Nothing was kept. Fetch the file again, or declare another one."
        ) from None


def read_lines(path: Path) -> list[str]:
    """Return a file's lines, split at LF or CRLF; a last line end makes no line."""
    lines = read_text(path).split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def read_table(
    path: Path, columns: int, *, delimiter: str, quoted: bool
) -> Iterator[tuple[str, list[str]]]:
    """Yield ("file:line", cells) for each row of a delimited file with so many columns.

    Args:
        path: a UTF-8 file.
        columns: the number of cells that every row must have.
        delimiter: one character.
        quoted: True where cells may stand in double quotes; False where a quote is a character.
    """
    source = io.StringIO(read_text(path), newline="")
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(source, delimiter=delimiter, quoting=quoting, strict=True)
    first_line = 1
    try:
        for cells in reader:
            where = f"{path.name}:{first_line}"
            first_line = reader.line_num + 1
            if len(cells) != columns:
                raise DataError(f"{path}: {where}: expected {columns} columns, got {len(cells)}.")
            yield where, cells
    except csv.Error as error:
        raise DataError(
            f"{path}:{first_line}: malformed row ({error}). Nothing was kept."
        ) from None


def skip_header(rows: Iterator[tuple[str, list[str]]], header: Sequence[str], path: Path) -> None:
    """Take the first row, which must be `header`."""
    _where, cells = next(rows, ("", []))
    if cells != list(header):
        raise DataError(f"{path}:1: expected the header {list(header)}, got {cells}.")


def read_json_rows(path: Path, keys: set[str], inside: str | None = None) -> list[dict[str, Any]]:
    """Return the objects of a JSON list, each with exactly the keys `keys`.

    NaN, infinities and a key that stands twice are refused, unlike by Python's own reader.

    Args:
        path: a UTF-8 file.
        keys: the keys of every object.
        inside: the key under which the list stands, where it is not the whole document.
    """
    try:
        document = json.loads(
            read_text(path), object_pairs_hook=_refuse_twice, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({error}). Nothing was kept.") from None
    rows = document.get(inside) if inside and isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise DataError(f"{path}: expected a list of rows, got {type(rows).__name__}.")
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != keys:
            got = sorted(row) if isinstance(row, dict) else type(row).__name__
            raise DataError(f"{path}: row {index}: expected the keys {sorted(keys)}, got {got}.")
    return rows


def check_text(value: object, where: str) -> str:
    """Return `value` if it is text that can be written as UTF-8, else raise DataError."""
    if not isinstance(value, str):
        raise DataError(f"{where}: expected text, got {type(value).__name__} {str(value)[:40]!r}.")
    if any(ord(char) in _SURROGATES for char in value):
        raise DataError(f"{where}: the text has half a surrogate pair; it cannot be encoded.")
    return value


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _value in pairs]
    twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
    if twice is not None:
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return dict(pairs)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
