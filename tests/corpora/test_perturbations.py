"""Perturbations: what changes, what never does, and that chance is a function of the text."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distilro.corpora.perturbations import (
    PERTURBATIONS,
    TYPO_MIN_LETTERS,
    TYPO_RATE,
    add_typos,
    perturb,
    spell_with_cedillas,
    write_in_capitals,
)
from distilro.evaluation.predictions import VARIANTS
from distilro.roles import ROLES
from distilro.text import PLACEHOLDERS, normalise, strip_diacritics

WORDS = ["Știința", "țara", "împreună", "și", "bunicii", "aaaa", "un", "ȘARPE", "mașină-țeapă", "é"]
PIECES = st.sampled_from([*WORDS, *PLACEHOLDERS, "42", "!", "...", "👩‍💻", "a1b2c3"])
TEXTS = st.one_of(st.lists(PIECES, min_size=1, max_size=12).map(" ".join), st.text(max_size=40))
NORMAL = TEXTS.map(lambda text: normalise(text, "ro")).filter(bool)


def count_edits(word: str, other: str) -> int:
    """Return the optimal string alignment distance, in which a swap of neighbours is one edit."""
    table = np.add.outer(np.arange(len(word) + 1), np.arange(len(other) + 1))
    for i in range(1, len(word) + 1):
        for j in range(1, len(other) + 1):
            differ = word[i - 1] != other[j - 1]
            options = [table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + differ]
            if i > 1 and j > 1 and word[i - 2 : i] == other[j - 1] + other[j - 2]:
                options.append(table[i - 2, j - 2] + 1)
            table[i, j] = min(options)
    return int(table[-1, -1])


def test_each_perturbation_by_hand():
    text = "Știe țara, <ent>? Da: <url>"
    assert perturb(text, "stripped") == "Stie tara, <ent>? Da: <url>"
    assert spell_with_cedillas(text) == "Ştie ţara, <ent>? Da: <url>"
    assert perturb(text, "upper_case") == "ȘTIE ȚARA, <ent>? DA: <url>"
    assert add_typos("casa", rate=1.0) in {"csaa", "caa", "csa", "caasa", "cassa"}


def test_capitals_with_cedillas_are_covered():
    assert spell_with_cedillas("ȘȚșț") == "ŞŢşţ"


@given(NORMAL)
def test_a_deployed_model_never_sees_a_cedilla(text):
    assert perturb(text, "cedilla") == text


@given(NORMAL)
@settings(max_examples=50)
def test_every_perturbation_gives_a_normal_text_and_the_same_one_twice(text):
    for variant in PERTURBATIONS:
        once = perturb(text, variant)
        assert normalise(once, "ro") == once
        assert perturb(text, variant) == once


@given(st.lists(PIECES, min_size=1, max_size=12).map(" ".join))
def test_placeholders_are_untouched(text):
    for variant in PERTURBATIONS:
        changed = PERTURBATIONS[variant](text)
        assert [re.findall(re.escape(name), changed) for name in PLACEHOLDERS] == [
            re.findall(re.escape(name), text) for name in PLACEHOLDERS
        ]


@given(st.lists(PIECES, min_size=1, max_size=12).map(" ".join), st.sampled_from([0.1, 0.5, 1.0]))
def test_a_word_has_one_typo_at_most_and_keeps_its_ends(text, rate):
    before, after = (
        re.findall(r"[^\W\d_]+|[\W\d_]", part) for part in (text, add_typos(text, rate))
    )
    assert len(before) == len(after)
    for word, misspelt in zip(before, after, strict=True):
        assert count_edits(word, misspelt) <= 1
        assert (word[0], word[-1]) == (misspelt[0], misspelt[-1])
        if len(word) < TYPO_MIN_LETTERS:
            assert misspelt == word


def test_a_rate_of_one_changes_every_word_that_has_two_different_inner_letters():
    words = ["bunicii", "mergem", "împreună", "grădina", "soare"] * 20
    changed = add_typos(" ".join(words), rate=1.0).split()
    assert all(word != other for word, other in zip(words, changed, strict=True))


def test_a_rate_of_zero_changes_nothing():
    text = "Mergem împreună acasă " * 20
    assert add_typos(text, rate=0.0) == text


def test_typos_come_at_their_rate_and_each_kind_as_often():
    words = [f"{'abcdefghij'[n % 10]}lmnop{'qrstuvwxyz'[n // 10 % 10]}" for n in range(6000)]
    changed = add_typos(" ".join(words)).split()
    wrong = [(a, b) for a, b in zip(words, changed, strict=True) if a != b]
    assert len(wrong) / len(words) == pytest.approx(TYPO_RATE, abs=0.015)  # 4 standard errors
    lengths = np.array([len(b) - len(a) for a, b in wrong])
    shares = [(lengths == difference).mean() for difference in (-1, 0, 1)]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.08)


def test_typos_depend_on_the_text_and_not_on_its_neighbours():
    texts = [f"Bunicii pleacă mâine dimineață spre munte {n}" for n in range(30)]
    forwards = [add_typos(text) for text in texts]
    assert [add_typos(text) for text in reversed(texts)] == forwards[::-1]
    assert len({text.rstrip("0123456789 ") for text in forwards}) > 10


def test_stripping_is_what_it_was_on_normal_texts():
    for text in ("Știință și țară", "MAȘINĂ <url> 👩‍💻", "p̶e m̶u̶n̶t̶e"):
        assert perturb(normalise(text, "ro"), "stripped") == normalise(strip_diacritics(text), "ro")


def test_a_text_in_capitals_stays_one():
    assert write_in_capitals("CE ȚARĂ <user>") == "CE ȚARĂ <user>"


def test_an_unknown_variant_is_an_error():
    with pytest.raises(KeyError, match="shouting"):
        perturb("text", "shouting")


def test_the_variants_of_roles_and_predictions_are_the_perturbations():
    assert set(VARIANTS) == {"official", *PERTURBATIONS}
    assert {role.variant for role in ROLES} == set(VARIANTS)
