"""What the texts of a dataset look like, before and after they are normalised: counts to report.

These numbers describe; they reject nothing. Lengths are in words (runs of non-space characters).
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from distilro.text import PLACEHOLDERS

_ROMANIAN_LETTERS = re.compile("[ăâîșțĂÂÎȘȚ]")
_CEDILLA_LETTERS = re.compile("[şţŞŢ]")
# UTF-8 read as Latin-1 or cp1252: a lead byte's letter followed by a continuation byte's sign.
_MOJIBAKE = re.compile("[ÃÄÅÈ][\x80-\xbf€™œžŸƒ]")
_FUNCTION_WORDS = {
    "ro": frozenset("și si că nu mai este sunt pentru din care cu la o un de în in sa să".split()),
    "en": frozenset("the and is are of to you that was with for this not i a it my have".split()),
}
_FEWEST_WORDS = 5  # below so many words, a guess of the language means nothing


def describe_texts(
    sources: Sequence[str], texts: Sequence[str], language: str
) -> dict[str, int | float]:
    """Return counts of rows over N texts, and their lengths.

    Args:
        sources: the texts as published.
        texts: the same, normalised.
        language: theirs, "ro" or "en".
    """
    lengths = np.array([len(text.split()) for text in texts] or [0])
    placeholders = sum(text.count(mask) for text in texts for mask in PLACEHOLDERS)
    return {
        "changed_by_normalisation": _count(a != b for a, b in zip(sources, texts, strict=True)),
        "with_cedilla_letters": _count(map(_CEDILLA_LETTERS.search, sources)),
        "without_romanian_letters": _count(not _ROMANIAN_LETTERS.search(text) for text in texts),
        "with_replacement_character": _count("\ufffd" in text for text in texts),
        "with_mojibake": _count(map(_MOJIBAKE.search, texts)),
        "with_placeholder": _count(any(mask in text for mask in PLACEHOLDERS) for text in texts),
        "placeholders": placeholders,
        "in_another_language": _count(looks_foreign(text, language) for text in texts),
        "words_mean": round(float(lengths.mean()), 2),
        "words_median": float(np.median(lengths)),
        "words_95th_percentile": float(np.percentile(lengths, 95)),
        "words_longest": int(lengths.max()),
    }


def looks_foreign(text: str, language: str) -> bool:
    """Return whether a text has function words of another language and hardly any of its own.

    A crude guess that is only counted, never acted on.

    >>> looks_foreign("this is not the language of my father", "ro")
    True
    """
    words = text.casefold().split()
    if len(words) < _FEWEST_WORDS:
        return False
    hits = {name: sum(word in known for word in words) for name, known in _FUNCTION_WORDS.items()}
    own = hits.pop(language)
    return max(hits.values()) >= 2 * own + 2


def _count(flags: Iterable[object]) -> int:
    return sum(1 for flag in flags if flag)
