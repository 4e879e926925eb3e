"""Passages: running text cut into pieces of bounded length, and the Parquet file that keeps them.

Paragraphs that stand together make one passage, up to a number of words; a longer paragraph is cut
where a sentence ends, or after so many words. A paragraph that came before, in any file, is left
out. A passage knows its collection and file, so that what is found in it can be traced.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from distilro.artifacts import write_atomically
from distilro.errors import IntegrityError
from distilro.text import key

VERSION = 1

_METADATA_KEY = b"distilro"
_COLUMNS = ("text", "language", "collection", "source")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")


@dataclass(frozen=True)
class Passages:
    """N texts with their language, collection and the file they came from."""

    text: Sequence[str]
    language: Sequence[str]
    collection: Sequence[str]
    source: Sequence[str]

    def __len__(self) -> int:
        """Return N."""
        return len(self.text)

    def select(self, rows: Sequence[int]) -> "Passages":
        """Return the passages at integer positions `rows`, in that order."""
        return Passages(*([getattr(self, name)[row] for row in rows] for name in _COLUMNS))

    @classmethod
    def join(cls, parts: Sequence["Passages"]) -> "Passages":
        """Return the passages of all parts, one part after the other."""
        return cls(*([v for part in parts for v in getattr(part, name)] for name in _COLUMNS))


class Repeats:
    """Paragraphs that were seen, by their key: case, marks and diacritics make no difference."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def leave_out(self, paragraphs: Iterable[str]) -> Iterator[str]:
        """Yield the paragraphs that did not come before."""
        for paragraph in paragraphs:
            known = key(paragraph)
            if known not in self._seen:
                self._seen.add(known)
                yield paragraph


def cut_passages(paragraphs: Iterable[str], words: int) -> Iterator[str]:
    """Yield passages of at most `words` words each.

    >>> list(cut_passages(["a b.", "c d e. f g", "h"], 4))
    ['a b.', 'c d e.', 'f g h']
    """
    held: list[str] = []
    for piece in (piece for paragraph in paragraphs for piece in _cut(paragraph, words)):
        if held and sum(len(part.split()) for part in held) + len(piece.split()) > words:
            yield " ".join(held)
            held = []
        held.append(piece)
    if held:
        yield " ".join(held)


def write_passages(path: str | Path, passages: Passages) -> None:
    """Write a Parquet file of passages, atomically."""
    columns = {name: pa.array(list(getattr(passages, name)), pa.string()) for name in _COLUMNS}
    header = {_METADATA_KEY: json.dumps({"version": VERSION, "rows": len(passages)})}
    with write_atomically(path) as temporary:
        pq.write_table(
            pa.table(columns).replace_schema_metadata(header), temporary, compression="zstd"
        )


def read_passages(path: str | Path) -> Passages:
    """Read a Parquet file of passages.

    Raises:
        IntegrityError: the file is absent, not of passages, of another version, or rows are lost.
    """
    try:
        table = pq.read_table(path)
        header = json.loads((table.schema.metadata or {}).get(_METADATA_KEY, b"{}"))
    except (OSError, pa.ArrowInvalid, ValueError) as error:
        raise IntegrityError(f"{path}: cannot read passages ({error}). Make them again.") from error
    expected = {"version": VERSION, "rows": table.num_rows}
    if header != expected or tuple(table.column_names) != _COLUMNS:
        raise IntegrityError(
            f"{path}: expected passages with header {expected}, got {header} and the columns "
            f"{', '.join(table.column_names)}. Make them again."
        )
    return Passages(*(table.column(name).to_pylist() for name in _COLUMNS))


def _cut(paragraph: str, words: int) -> Iterator[str]:
    """Yield a paragraph whole, or its sentences where it is long, or parts of a long sentence."""
    if len(paragraph.split()) <= words:
        yield paragraph
        return
    for sentence in _SENTENCE_END.split(paragraph):
        parts = sentence.split()
        for start in range(0, len(parts), words):
            yield " ".join(parts[start : start + words])
