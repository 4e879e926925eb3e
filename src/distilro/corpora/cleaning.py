"""Cleaning running text: from a file as it was published to paragraphs of plain words.

A cleaner takes the text of a file and yields its paragraphs; markup, code, tables and boilerplate
are left out, words are not changed. What is not mostly letters is no paragraph. Normal forms
(`distilro.text.normalise`), repeats and the cut into passages come later (passages.py).
"""

import re
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

from distilro.errors import DataError

_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1[^\n]*$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->|\{/\*.*?\*/\}", re.DOTALL)
_TABLE_LINE = re.compile(r"^[ \t]*\|.*$", re.MULTILINE)
_CODE_LINE = re.compile(r"^(?:import|export) .*$|^(?: {4}|\t)\S.*$|^:::.*$", re.MULTILINE)
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_ANCHOR = re.compile(r"\{#[^}]*\}")
_FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$\n]*\$", re.DOTALL)
_LINE_MARK = re.compile(r"^[ \t]*(?:#{1,6}|>+|[-*+]|\d{1,3}[.)])(?:[ \t]+|$)", re.MULTILINE)
_EMPHASIS = re.compile(r"\*\*|__|`|(?<!\w)[*_]|[*_](?!\w)")
_HEADING = re.compile(r"^#{1,6}[^\n]*$", re.MULTILINE)
_ITEM = re.compile(r"^(?=[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t])", re.MULTILINE)
_BLANK = re.compile(r"\n[ \t]*\n")
_TRANSLATOR_NOTE = re.compile(r"Co-op Translator", re.IGNORECASE)
_SEGMENT = "{http://www.tei-c.org/ns/1.0}seg"
_DECLARATION = re.compile(r"<!DOCTYPE|<!ENTITY", re.IGNORECASE)

_LEAST_LETTERS = 0.7  # share of letters and spaces in a paragraph
_LEAST_WORDS = 3


def clean_plain(text: str) -> Iterator[str]:
    """Yield the paragraphs of a plain file: blank lines part them, other line breaks are spaces."""
    return _keep_prose(_BLANK.split(text))


def clean_sentences(text: str) -> Iterator[str]:
    """Yield the lines of a file of single sentences."""
    return _keep_prose(text.split("\n"))


def clean_markdown(text: str) -> Iterator[str]:
    r"""Yield the paragraphs of a Markdown page without code, tables, formulas, tags and links.

    >>> list(clean_markdown("# Un titlu\n\nUn [text](http://a.ro) **bun** aici.\n\n| a | b |"))
    ['Un text bun aici.']
    """
    for pattern in (_FRONT_MATTER, _COMMENT, _FENCE, _TABLE_LINE, _CODE_LINE, _IMAGE, _FORMULA):
        text = pattern.sub("\n", text)
    text = _LINK.sub(r"\1", _TAG.sub(" ", _ANCHOR.sub("", text)))
    text = _ITEM.sub("\n", _HEADING.sub("\n\n", text))
    parts = _BLANK.split(_EMPHASIS.sub("", _LINE_MARK.sub("", text)))
    return _keep_prose(part for part in parts if not _TRANSLATOR_NOTE.search(part))


def clean_tei(text: str) -> Iterator[str]:
    """Yield the spoken segments of a ParlaMint file.

    Raises:
        DataError: it is not well-formed XML, or declares entities.
    """
    if declaration := _DECLARATION.search(text):
        line = text.count("\n", 0, declaration.start()) + 1
        raise DataError(
            f"line {line}: expected TEI without declarations, got a document type or entities, "
            "which no TEI file needs"
        )
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - no entities: refused above
    except ElementTree.ParseError as error:
        raise DataError(f"expected well-formed XML, got {error}") from error
    return _keep_prose("".join(segment.itertext()) for segment in root.iter(_SEGMENT))


CLEANERS: dict[str, Callable[[str], Iterator[str]]] = {
    "plain": clean_plain,
    "sentences": clean_sentences,
    "markdown": clean_markdown,
    "tei": clean_tei,
}


def _keep_prose(parts: Iterator[str] | list[str]) -> Iterator[str]:
    """Yield the parts that are words for the most, on one line each."""
    for part in parts:
        words = part.split()
        line = " ".join(words)
        if len(words) >= _LEAST_WORDS and _is_prose(line):
            yield line


def _is_prose(line: str) -> bool:
    letters = sum(char.isalpha() or char == " " for char in line)
    return letters >= _LEAST_LETTERS * len(line)
