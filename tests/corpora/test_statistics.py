"""Text statistics: small texts whose counts are clear."""

from distilro.corpora.statistics import describe_texts, looks_foreign
from distilro.text import normalise

SOURCES = [
    "Ştiri de azi",
    "Știri de azi",
    "fara nimic deosebit",
    "<|PERSON|> și <|PERSON|> \ufffd",
    "Ă\u0083 moÃ®nt this is not the language that you want",
]


def test_every_kind_of_text_is_counted():
    counts = describe_texts(SOURCES, [normalise(text, "ro") for text in SOURCES], "ro")
    assert counts["changed_by_normalisation"] == 3
    assert counts["with_cedilla_letters"] == 1
    assert counts["without_romanian_letters"] == 1
    assert counts["with_placeholder"] == 1
    assert counts["placeholders"] == 2
    assert counts["with_replacement_character"] == 1
    assert counts["with_mojibake"] == 1
    assert counts["in_another_language"] == 1
    assert counts["words_longest"] == 10
    assert counts["words_mean"] == 4.6


def test_no_texts_give_zeros():
    assert describe_texts([], [], "en")["words_mean"] == 0


def test_short_texts_are_of_any_language():
    assert not looks_foreign("the end", "ro")
    assert not looks_foreign("Am văzut The Wall of the North la cinema și nu mi-a plăcut", "ro")
