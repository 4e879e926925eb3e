"""The normal form and the comparison key: by hand, over Unicode, and against a tokenizer."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, normalizers

from distilro import text

# Pieces that interact: a property over plain random text would hardly ever join two of them.
ENTITIES = (
    "& amp; #38; lt; &lt; &gt; gt; quot; #39; #36; $ NE $NE$ < > | / \\ - . _ b e s t S".split()
)
MASKS = "<|PERSON|> <|URL|> [NAME] <ent> PERSON @ @ana a@b.co http:// https://x.ro www.".split()
MARKS = [
    " ",
    "\xa0",
    "\n",
    "\u2028",
    "\x00",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\xad",
    "\u0338",
    "\u0327",
]
LETTERS = ["\u0326", "\u0301", "\u1100", "\u1161", "\ufe0f", *"şţŞŢș😀👩é"]
TRICKY = st.sampled_from([*ENTITIES, *MASKS, *MARKS, *LETTERS])
TEXTS = st.one_of(st.text(), st.lists(TRICKY, max_size=12).map("".join))
LANGUAGES = st.sampled_from(text.LANGUAGES)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("şi ţară Şi Ţară", "și țară Și Țară"),
        ("s\u0326i t\u0326ara s\u0327i", "și țara și"),  # letters with combining marks
        ("a\u200b\u0301", "á"),  # a hidden accent
        ("cu\xadvânt\ufeff", "cuvânt"),
        ("unu\u2028doi\x85trei\xa0patru", "unu doi trei patru"),
        ("<|PERSON|> [NAME] $NE$-ul", "<ent> <ent> <ent>-ul"),
        ("<|URL|> <|USERNAME|> <|TEL|> <|EMAIL|>", "<url> <user> <tel> <email>"),
        ("Vezi https://a.ro/b?c=1 @ana_1 ion@x.ro", "Vezi <url> <user> <email>"),
        ("👩\u200d💻 a\u200db", "👩\u200d💻 ab"),
        ("C:\\Ana", "C:\\Ana"),
        ("  \t ", ""),
    ],
)
def test_romanian_text_gets_its_normal_form(source: str, expected: str):
    assert text.normalise(source, "ro") == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("said,  quot;helping them, quot; he", 'said, "helping them," he'),
        ("Google #39;s AT amp;T  #36;5", "Google's AT&T $5"),
        ("second\\team \\\\ of", "second team of"),
        ("in &lt;b&gt;...&lt;/b&gt; &amp;lt; x", "in ... < x"),
        ("Ciena &lt;CIEN.O&gt;", "Ciena"),
        ("Ceauşescu", "Ceauşescu"),  # another language's letters are left alone
    ],
)
def test_english_text_gets_its_normal_form(source: str, expected: str):
    assert text.normalise(source, "en") == expected


@given(TEXTS, LANGUAGES)
def test_a_second_application_changes_nothing(source: str, language: str):
    once = text.normalise(source, language)
    assert text.normalise(once, language) == once


@given(TEXTS)
def test_no_cedilla_no_control_and_no_double_space_is_left(source: str):
    result = text.normalise(source, "ro")
    assert not set("şţŞŢ") & set(result)
    assert not any(unicodedata.category(char) in {"Cc", "Zl", "Zp"} for char in result)
    assert "  " not in result
    assert result == result.strip(" ")


@given(TEXTS, LANGUAGES)
def test_a_tokenizer_made_of_the_rules_gives_the_same_text(source: str, language: str):
    steps = [rule for rule in text.RULES_BEFORE_NFC if rule.fits(language)]
    before = [normalizers.Replace(Regex(rule.pattern), rule.replacement) for rule in steps]
    after = [
        normalizers.Replace(Regex(rule.pattern), rule.replacement)
        for rule in text.RULES
        if rule.fits(language)
    ]
    sequence = normalizers.Sequence([*before, normalizers.NFC(), *after])
    encodable = source.encode("utf-8", "ignore").decode("utf-8")
    assert sequence.normalize_str(encodable) == text.normalise(encodable, language)


@given(TEXTS)
def test_the_key_does_not_see_case_diacritics_or_punctuation(source: str):
    plain = text.normalise(source, "ro")
    words = text.key("a " + plain)
    assert text.key("a! " + text.strip_diacritics(plain)) == words
    assert text.key(words) == words


def test_the_key_folds_what_makes_two_texts_the_same():
    assert text.key("Bună ZIUA, <ent>!!") == text.key("$NE$ buna ziua") == "buna ziua"


def test_a_text_of_symbols_is_a_copy_of_itself_only():
    assert text.key("😀 !") != text.key("😢 !")


def test_stripping_diacritics_keeps_everything_else():
    assert text.strip_diacritics("ăâîșț ĂÂÎȘȚ <ent> 👩\u200d💻 ❤\ufe0f") == (
        "aaist AAIST <ent> 👩\u200d💻 ❤\ufe0f"
    )


@pytest.mark.parametrize("unit", ["a", "a.", "&lt;a", " ", "@", "http://", "\\", "amp;", "a "])
def test_a_line_of_a_megabyte_takes_under_two_seconds(unit: str):
    line = unit * (1_000_000 // len(unit))
    start = time.perf_counter()
    text.normalise(line, "en")
    text.key(line)
    assert time.perf_counter() - start < 2
