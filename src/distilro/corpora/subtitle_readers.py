"""The reader of XED's Romanian subtitles, whose labels were carried over from English ones.

Like every reader it gives rows in the source's own labels and lists what it leaves out; see
readers.py. XED asks for eight emotions (Plutchik's), of which REDv2 has six.
"""

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from distilro.corpora.rows import Dropped, Reading, Row, check_text, read_lines
from distilro.errors import DataError
from distilro.text import key

XED_FILE = "ro-projections.tsv"
# Source: README.md of its repository, "Format".
XED_LABELS = {
    **{"1": "anger", "2": "anticipation", "3": "disgust", "4": "fear"},
    **{"5": "joy", "6": "sadness", "7": "surprise", "8": "trust"},
}
XED_ALONE = frozenset({"anticipation", "disgust"})  # labels that no other dataset here has
_COLUMNS = 2


def read_xed(folder: Path) -> Reading:
    """Read XED's Romanian file, `text<TAB>number, number...`: all of it is one test split.

    Left out, in this order: lines that are not a text and its labels (rows of another file that
    were appended by mistake); copies of a text, all of them where their labels differ and all but
    the first where they agree; texts that have anticipation or disgust alone.
    """
    rows: list[Row] = []
    dropped: list[Dropped] = []
    for number, line in enumerate(read_lines(folder / XED_FILE), start=1):
        where = f"{XED_FILE}:{number}"
        cells = line.split("\t")
        if len(cells) == _COLUMNS:
            rows.append(_read_xed_row(cells, where))
        else:
            reason = f"{len(cells)} columns, where a text and its labels are two"
            dropped.append(Dropped(where, reason))
    rows, copies = keep_agreeing_copies(rows)
    alone = [row for row in rows if XED_ALONE.issuperset(row.labels)]
    kept = [row for row in rows if not XED_ALONE.issuperset(row.labels)]
    dropped += copies
    dropped += [Dropped(row.source_row, "only anticipation or disgust") for row in alone]
    return Reading({"test": kept}, dropped)


def keep_agreeing_copies(rows: Sequence[Row]) -> tuple[list[Row], list[Dropped]]:
    """Keep the first row of every text whose copies (`text.key`) have the same labels.

    Returns:
        The rows that are kept and those that are left out, each in their order.
    """
    copies: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        copies[key(row.text)].append(row)
    kept, dropped = [], []
    for row in rows:
        group = copies[key(row.text)]
        if len({frozenset(copy.labels) for copy in group}) > 1:
            dropped.append(Dropped(row.source_row, "the same text stands with other labels"))
        elif row is group[0]:
            kept.append(row)
        else:
            dropped.append(Dropped(row.source_row, "the text stood before with the same labels"))
    return kept, dropped


def _read_xed_row(cells: Sequence[str], where: str) -> Row:
    quoted, numbers = cells
    known = [XED_LABELS.get(number, "") for number in numbers.split(", ")]
    if not all(known) or len(set(known)) != len(known):
        raise DataError(
            f"{where}: expected distinct numbers from 1 to {len(XED_LABELS)}, got {numbers!r}. "
            "Nothing was kept. Correct the row."
        )
    return Row(_unquote(check_text(quoted, where), where), tuple(known), where, stratum=known[0])


def _unquote(text: str, where: str) -> str:
    """Return a cell without the quotes of CSV: a text with quotes inside was written so."""
    if not text.startswith('"'):
        return text
    try:
        (cells,) = csv.reader([text], delimiter="\t", strict=True)
    except csv.Error as error:
        raise DataError(f"{where}: malformed quotes ({error}). Nothing was kept.") from None
    return cells[0]
