"""Romanian texts as people also type them: the variants on which a model's robustness is measured.

Every perturbation is a pure function of the text alone: where chance decides, SHA-256 of the text
is the dice, so that neither the order of the rows nor the machine is part of the result, and equal
texts stay equal. Letters change, placeholders such as <url> never do. Not done here: keyboard
neighbours, lost spaces, code-switching.

What is perturbed is normalised again, as every text is that reaches a deployed model. Cedillas
come back as commas by that: a model must answer the variant "cedilla" as it answers the official
one.
"""

import hashlib
import re
from collections.abc import Callable
from itertools import count

from distilro.text import PLACEHOLDERS, normalise, strip_diacritics

TYPO_RATE = 0.1  # chance of a typo per word that may have one
TYPO_MIN_LETTERS = 4

_CEDILLAS = str.maketrans("șțȘȚ", "şţŞŢ")
_PLACEHOLDER = re.compile("(" + "|".join(map(re.escape, PLACEHOLDERS)) + ")")
_WORD = re.compile(rf"[^\W\d_]{{{TYPO_MIN_LETTERS},}}")
_DRAWS = 1 << 64


def perturb(text: str, variant: str) -> str:
    """Return a normalised Romanian text as `variant`, a key of PERTURBATIONS, shows it.

    >>> perturb("Știi <url>?", "upper_case")
    'ȘTII <url>?'
    """
    return normalise(PERTURBATIONS[variant](text), "ro")


def spell_with_cedillas(text: str) -> str:
    """Return the text with ş and ţ for ș and ț, as keyboards wrote them for decades.

    >>> spell_with_cedillas("Știință")
    'Ştiinţă'
    """
    return text.translate(_CEDILLAS)


def write_in_capitals(text: str) -> str:
    """Return the text in upper case.

    >>> write_in_capitals("Ce țară, <ent>!")
    'CE ȚARĂ, <ent>!'
    """
    return _change_between_placeholders(text, str.upper)


def add_typos(text: str, rate: float = TYPO_RATE) -> str:
    """Return the text with typos: at most one per word, in `rate` of the words that may have one.

    A typo is two neighbours swapped, a letter dropped or a letter doubled, each as likely. Words
    of fewer than TYPO_MIN_LETTERS letters are left alone, and so are the first and the last letter
    of every word. Source: Pruthi et al. (2019), "Combating adversarial misspellings with robust
    word recognition", section 3, without its keyboard neighbours; inserted letters are doubled
    ones.

    >>> add_typos("Mergem împreună acasă", rate=1.0)
    'Merem împrreună acaasă'
    """
    seed = hashlib.sha256(text.encode("utf-8")).hexdigest()
    numbers = count()

    def misspell(match: re.Match[str]) -> str:
        return _misspell(match[0], f"{seed}\x1f{next(numbers)}", rate)

    return _change_between_placeholders(text, lambda part: _WORD.sub(misspell, part))


PERTURBATIONS: dict[str, Callable[[str], str]] = {
    "stripped": strip_diacritics,
    "cedilla": spell_with_cedillas,
    "upper_case": write_in_capitals,
    "typos": add_typos,
}


def _change_between_placeholders(text: str, change: Callable[[str], str]) -> str:
    parts = _PLACEHOLDER.split(text)  # the odd ones are placeholders
    return "".join(part if place % 2 else change(part) for place, part in enumerate(parts))


def _misspell(word: str, seed: str, rate: float) -> str:
    digest = hashlib.sha256(seed.encode("utf-8")).digest()
    chance, kind, place = (int.from_bytes(digest[at : at + 8], "big") for at in (0, 8, 16))
    if chance >= rate * _DRAWS:
        return word
    misspell = (_swap, _drop, _double)[kind % 3]
    return misspell(word, place)


def _swap(word: str, place: int) -> str:
    """Swap two inner neighbours that differ; a word that has none stays as it is."""
    places = [at for at in range(1, len(word) - 2) if word[at] != word[at + 1]]
    if not places:
        return word
    at = places[place % len(places)]
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _drop(word: str, place: int) -> str:
    at = 1 + place % (len(word) - 2)
    return word[:at] + word[at + 1 :]


def _double(word: str, place: int) -> str:
    at = 1 + place % (len(word) - 2)
    return word[: at + 1] + word[at:]
