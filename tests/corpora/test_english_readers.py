"""The English readers on small files: the traps of each format, and what is refused."""

from pathlib import Path

import pytest

from distilro.corpora.readers import READERS
from distilro.errors import DataError


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", ".").replace("_", "-")
        path.write_text(text, encoding="utf-8", newline="")


def read(name: str, folder: Path, split: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(row.text, row.labels) for row in READERS[name](folder).splits[split]]


@pytest.mark.parametrize("header", ["", "text;label_name\n"])
def test_carer_is_read_with_and_without_its_header(tmp_path, header):
    body = header + "i feel fine;joy\ni am the text;love\n"
    write(tmp_path, train__txt=body, val__txt=body, test__txt=body)
    assert read("carer", tmp_path, "valid") == [
        ("i feel fine", ("joy",)),
        ("i am the text", ("love",)),
    ]


def test_carer_refuses_a_second_semicolon(tmp_path):
    write(tmp_path, train__txt="a;joy\na;b;joy\n", val__txt="", test__txt="")
    with pytest.raises(DataError, match=r"train\.txt:2: expected 2 columns, got 3"):
        READERS["carer"](tmp_path)


def write_sst2(folder: Path, **changes: str) -> None:
    files = {
        "train__tsv": 'sentence\tlabel\na "quote \t1\n',
        "dev__tsv": "sentence\tlabel\ndull \t0\n",
        "stsa__binary__test": "1 fine -lrb- and\\/or -rrb- \\/ odd\n0 dull\n",
    }
    write(folder, **{**files, **changes})


def test_sst2_reads_quotes_as_characters_and_writes_the_tests_tokens_as_glue_does(tmp_path):
    write_sst2(tmp_path)
    assert read("sst2", tmp_path, "train") == [('a "quote ', ("positive",))]
    assert read("sst2", tmp_path, "valid") == [("dull ", ("negative",))]
    assert read("sst2", tmp_path, "test") == [
        ("fine ( and/or ) / odd", ("positive",)),
        ("dull", ("negative",)),
    ]


def test_sst2_refuses_swapped_columns(tmp_path):
    write_sst2(tmp_path, dev__tsv="label\tsentence\n0\tdull\n")
    with pytest.raises(DataError, match="expected the header"):
        READERS["sst2"](tmp_path)


CANONICAL = '"3","Title","He said ""so"", twice."\n"4","Is it?","Yes\\it is"\n'
STAND_IN = "Class Index,Title,Description\n1,#NAME?,Only this\n2,A title,A text\n"


def test_ag_news_joins_title_and_description_and_numbers_classes_from_one(tmp_path):
    write(tmp_path, train__csv=CANONICAL, test__csv=CANONICAL)
    assert read("ag_news", tmp_path, "train") == [
        ('Title. He said "so", twice.', ("Business",)),
        ("Is it? Yes\\it is", ("Sci/Tech",)),
    ]


def test_the_stand_in_skips_headers_copies_and_what_is_in_the_test(tmp_path):
    part_b = 'class_index,title,description\n2,A  title,A text\n3,Title,"He said ""so"", twice."\n'
    write(tmp_path, test__csv=CANONICAL, part_a__csv=STAND_IN, part_b__csv=part_b)
    reading = READERS["ag_news_30k"](tmp_path)
    assert [(row.text, row.labels) for row in reading.splits["train"]] == [
        ("Only this", ("World",)),
        ("A title. A text", ("Sports",)),
    ]
    assert [(row.source_row, row.reason) for row in reading.dropped] == [
        ("part-b.csv:2", "the text stood before"),
        ("part-b.csv:3", "the text is in the test"),
    ]


def test_the_stand_in_refuses_one_text_with_two_labels(tmp_path):
    write(tmp_path, test__csv=CANONICAL, part_a__csv=STAND_IN, part_b__csv="4,A title,A text\n")
    with pytest.raises(DataError, match=r"part-b\.csv:1: stands with other labels"):
        READERS["ag_news_30k"](tmp_path)


def test_a_class_that_ag_news_does_not_have_reaches_the_label_map_as_it_is(tmp_path):
    write(tmp_path, train__csv='"0","a","b"\n', test__csv=CANONICAL)
    assert read("ag_news", tmp_path, "train") == [("a. b", ("0",))]


def test_goemotions_unquotes_texts_and_names_labels(tmp_path):
    body = 'plain [NAME]\t0,2\tid1\n"a ""quoted"" text"\t1\tid2\n'
    write(
        tmp_path, labels__txt="joy\nfear\nneutral", train__tsv=body, dev__tsv=body, test__tsv=body
    )
    assert read("goemotions", tmp_path, "test") == [
        ("plain [NAME]", ("joy", "neutral")),
        ('a "quoted" text', ("fear",)),
    ]


@pytest.mark.parametrize("number", ["3", "-1", "x", ""])
def test_goemotions_refuses_a_label_number_that_has_no_name(tmp_path, number):
    body = f"text\t{number}\tid\n"
    write(
        tmp_path, labels__txt="joy\nfear\nneutral", train__tsv=body, dev__tsv=body, test__tsv=body
    )
    with pytest.raises(DataError, match="a label number below 3"):
        READERS["goemotions"](tmp_path)
