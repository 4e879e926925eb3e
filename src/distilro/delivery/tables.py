"""Tables as plain data: what stands in each cell, for the template to draw.

One shape for every table of the page, so that one macro draws them all. A cell has a text, a note
under it and, where it counts parts of a whole, a share that is drawn as a bar behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "number", "best", "missing"]


@dataclass(frozen=True)
class Cell:
    """One cell; `share` in [0, 1] draws a bar, `shade` in [-1, 1] tints it; None: neither.

    A shade only repeats what the text says with a sign, for those who see colours on a screen.
    """

    text: str
    note: str = ""
    kind: Kind = "text"
    share: float | None = None
    shade: float | None = None


@dataclass(frozen=True)
class Table:
    """A caption, a head and rows; the first cell of each row is the row's own head."""

    caption: str
    head: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]


def write_count(count: int, total: int | None = None) -> Cell:
    """Return a count with thousands separated, and with a bar where it is part of a total.

    >>> write_count(30027).text
    '30,027'
    """
    return Cell(f"{count:,}", kind="number", share=count / total if total else None)


def write_words(*texts: str) -> list[Cell]:
    """Return plain cells, for a head or the text of a row.

    >>> [cell.text for cell in write_words("a", "b")]
    ['a', 'b']
    """
    return [Cell(text) for text in texts]


def write_decimals(value: float) -> str:
    """Return a number with a true minus and three decimals.

    >>> write_decimals(0.0213), write_decimals(-0.1), write_decimals(-0.0001)
    ('0.021', '−0.100', '0.000')
    """
    return _mend_sign(f"{value:.3f}")


def write_signed(value: float) -> str:
    """Return a difference with its sign, a true minus, and three decimals.

    >>> write_signed(0.0213), write_signed(-0.1), write_signed(0.0)
    ('+0.021', '−0.100', '0.000')
    """
    return _mend_sign(f"{value:+.3f}")


def write_interval(low: float, high: float) -> str:
    """Return the interval of a difference, each end with its sign.

    >>> write_interval(-0.01, 0.02)
    '[−0.010, +0.020]'
    """
    return f"[{write_signed(low)}, {write_signed(high)}]"


def write_names(names: Sequence[str]) -> str:
    """Return names as an English list.

    >>> write_names(["a", "b", "c"])
    'a, b and c'
    """
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def count_nouns(count: int, noun: str) -> str:
    """Return a count with its noun in the number that fits.

    >>> count_nouns(1, "seed"), count_nouns(5, "seed")
    ('1 seed', '5 seeds')
    """
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def write_seconds(seconds: float) -> str:
    """Return a duration for readers.

    >>> write_seconds(3.14159), write_seconds(75), write_seconds(7260)
    ('3.1 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:  # noqa: PLR2004 - seconds of a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left} min" if hours else f"{minutes} min {rest} s"


def _mend_sign(text: str) -> str:
    """Return a number of three decimals with a true minus; zero has no sign."""
    return "0.000" if float(text) == 0 else text.replace("-", "−")
