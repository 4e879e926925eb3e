"""Cleaning: nothing of the markup is left, and no word is changed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.corpora.cleaning import (
    CLEANERS,
    clean_markdown,
    clean_plain,
    clean_sentences,
    clean_tei,
)
from distilro.errors import DataError

PROSE = "Copiii aleargă veseli prin parcul plin de frunze."
OTHER = "Astăzi plouă mărunt în grădina bunicii noastre."
MARKUP = re.compile(r"```|~~~|</?[A-Za-z][^<>]*>|\*\*|\]\(|\{/\*|<!--|\$|\||^#|^[-*+>] ")


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (f"---\ntitle: Un titlu lung aici\n---\n{PROSE}", [PROSE]),
        (f"{PROSE}\n\n---\n\n{OTHER}\n\n---\n", [PROSE, OTHER]),
        (f"{PROSE}\n\n```python\nprint dintr un text lung\n```\n\n{OTHER}", [PROSE, OTHER]),
        (f"{PROSE}\n~~~\nun text lung de cod\n\nalt text\n~~~\n{OTHER}", [PROSE, OTHER]),
        (f"- {PROSE}\n  ```sh\n  ruleaza asta te rog\n  ```\n- {OTHER}", [PROSE, OTHER]),
        (f"{PROSE}\n\n    un rând lung de cod aici\n\n{OTHER}", [PROSE, OTHER]),
        (f"{PROSE}\n\n| unu doi trei |\n|---|\n| patru cinci |\n\n{OTHER}", [PROSE, OTHER]),
        (f"{{/* un comentariu\nlung de tot */}}\n{PROSE}", [PROSE]),
        (f"<!-- un comentariu\nlung de tot -->\n{PROSE}", [PROSE]),
        (f"import Tabs from 'theme';\nexport const x = 1;\n\n{PROSE}", [PROSE]),
        (f":::note[Un titlu de notă]\n{PROSE}\n:::", [PROSE]),
        ("Vezi [pagina noastră](https://a.ro/b) chiar acum.", ["Vezi pagina noastră chiar acum."]),
        ("Vezi [pagina noastră][1] chiar acum.", ["Vezi pagina noastră chiar acum."]),
        (f"![O poză cu pisici](a.png) {PROSE}", [PROSE]),
        ("Dacă $x^2 + y$ crește mereu mult.", ["Dacă crește mereu mult."]),
        (f"{PROSE}\n\n$$\na + b\n$$\n\n{OTHER}", [PROSE, OTHER]),
        (f"- {PROSE}\n- {OTHER}", [PROSE, OTHER]),
        (f"1. {PROSE}\n2) {OTHER}\n* {PROSE}\n+ {OTHER}", [PROSE, OTHER, PROSE, OTHER]),
        (f"> {PROSE}\n> {OTHER}", [f"{PROSE} {OTHER}"]),
        (f"## Un titlu destul de lung\n{PROSE}", [PROSE]),
        (f"{PROSE}\n###### Alt titlu destul de lung {{#ancora}}\n{OTHER}", [PROSE, OTHER]),
        ("Un **text** și *altul* sau __altul__ aici.", ["Un text și altul sau altul aici."]),
        ("Numele `un_nume_lung` rămâne aici întreg.", ["Numele un_nume_lung rămâne aici întreg."]),
        (f"<Tabs groupId='a'>\n{PROSE}\n</Tabs>", [PROSE]),
        (f"<p align=\"center\">{PROSE}</p><br/>", [PROSE]),
        (f"{PROSE}\n\nTradus cu Co-op Translator, fără garanții.", [PROSE]),
        ("Un rând\nrupt în două\nbucăți.", ["Un rând rupt în două bucăți."]),
        ("", []),
    ],
)  # fmt: skip
def test_markdown_leaves_its_prose(page, expected):
    assert list(clean_markdown(page)) == expected


@pytest.mark.parametrize(
    ("part", "is_prose"),
    [
        ("un doi trei", True),
        ("un doi", False),
        ("12 34 56 78 90 12", False),
        ("--- --- --- ---", False),
        ("a1 b2 c3 d4", False),
        ("În 1918 s-au unit toate.", True),
    ],
)
def test_what_is_short_or_hardly_letters_is_no_prose(part, is_prose):
    assert list(clean_plain(part)) == [part] * is_prose


def test_a_plain_file_is_parted_by_blank_lines_alone():
    text = "Un rând lung\nși altul.\n \t\nAlt paragraf, *cu stele* și <semne>."
    assert list(clean_plain(text)) == [
        "Un rând lung și altul.",
        "Alt paragraf, *cu stele* și <semne>.",
    ]


def test_sentences_are_lines():
    assert list(clean_sentences(f"{PROSE}\n{OTHER}\n\nprea scurt\n")) == [PROSE, OTHER]


def test_of_a_sitting_what_was_said_is_left():
    body = f"<note>Nota nu se spune deloc</note><u><seg>{PROSE}\n</seg><seg>{OTHER}</seg></u>"
    head = "<teiHeader><title>Un titlu lung de tot</title></teiHeader>"
    page = f'<TEI xmlns="http://www.tei-c.org/ns/1.0">{head}<text>{body}</text></TEI>'
    assert list(clean_tei(f'<?xml version="1.0" encoding="UTF-8"?>\n{page}')) == [PROSE, OTHER]


@pytest.mark.parametrize(
    "word", ["<!DOCTYPE TEI SYSTEM 'a.dtd'>", "<!doctype a>", "<!ENTITY a 'b'>"]
)
def test_a_sitting_with_a_declaration_is_refused_with_its_line(word):
    with pytest.raises(DataError, match="line 2: expected TEI without declarations"):
        clean_tei(f'<?xml version="1.0"?>\n{word}\n<TEI/>')


def test_a_sitting_that_is_cut_short_is_refused_with_its_line():
    with pytest.raises(DataError, match=r"expected well-formed XML, got .*line 2"):
        clean_tei("<TEI>\n<u><seg>Un text")


def test_every_cleaner_gives_single_lines_without_outer_spaces():
    for name in ("plain", "markdown", "sentences"):
        for line in CLEANERS[name](f"  {PROSE} \n\n\t\n  {OTHER}\t \n"):
            assert line == " ".join(line.split())


WORDS = st.sampled_from(["ana", "are", "mere", "țara", "știe", "încă", "după", "bun"])
SENTENCES = st.lists(WORDS, min_size=3, max_size=12).map(lambda words: " ".join(words) + ".")
DRESSED = st.sampled_from(
    [
        "{}", "# titlul cel lung\n{}", "- {}", "1. {}", "> {}", "*{}*", "**{}**", "<b>{}</b>",
        "[{}](http://a.ro)", "{}\n```\nun cod lung aici\n```", "<!-- o notă lungă -->\n{}",
        "{{/* o notă lungă */}}\n{}", "| o celulă lungă |\n\n{}", "![o poză lungă](a.png)\n{}",
        "{}\n\n$$x$$", "import a from 'b'\n\n{}",
    ]
)  # fmt: skip


@given(st.lists(st.tuples(SENTENCES, DRESSED), min_size=1, max_size=8))
def test_however_paragraphs_are_dressed_their_words_come_out_and_nothing_else(parts):
    page = "\n\n".join(dress.format(sentence) for sentence, dress in parts)
    lines = list(clean_markdown(page))
    assert lines == [sentence for sentence, _ in parts]
    assert not any(MARKUP.search(line) for line in lines)


@given(st.lists(SENTENCES, max_size=8), st.sampled_from(["\n\n", "\n \n", "\n\n\n"]))
def test_a_plain_file_gives_back_its_paragraphs(sentences, blank):
    assert list(clean_plain(blank.join(sentences))) == sentences


@given(st.text(alphabet="ab ăț.!\n\t#*_`~[]()<>/{}$|-0123456789:", max_size=200))
def test_whatever_comes_a_page_gives_lines_of_prose(page):
    for line in clean_markdown(page):
        assert line == " ".join(line.split())
        assert len(line.split()) >= 3
        assert sum(char.isalpha() or char == " " for char in line) >= 0.7 * len(line)
