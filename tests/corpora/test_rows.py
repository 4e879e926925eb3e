"""Strict reading: what is malformed is refused with file and line; no row is joined or lost."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.corpora.rows import (
    check_text,
    read_json_rows,
    read_lines,
    read_table,
    read_text,
    skip_header,
)
from distilro.errors import DataError

ENCODABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff"))
CELLS = st.lists(st.tuples(ENCODABLE, ENCODABLE), min_size=1, max_size=8)


@given(CELLS)
def test_a_quoted_table_gives_back_what_a_csv_writer_wrote(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows(rows)
    path.write_bytes(buffer.getvalue().encode())
    assert [
        tuple(cells) for _where, cells in read_table(path, 2, delimiter=",", quoted=True)
    ] == rows


def test_a_row_over_several_lines_is_named_by_its_first(tmp_path):
    (tmp_path / "a.csv").write_text('1,"două\nrânduri"\n2,trei\n', encoding="utf-8")
    rows = list(read_table(tmp_path / "a.csv", 2, delimiter=",", quoted=True))
    assert [where for where, _cells in rows] == ["a.csv:1", "a.csv:3"]


def test_signs_that_only_look_like_line_ends_belong_to_the_text(tmp_path):
    text = "unu\u2028doi\x85trei\x0bpatru"
    (tmp_path / "a.tsv").write_text(f"{text}\tx\n", encoding="utf-8")
    assert next(read_table(tmp_path / "a.tsv", 2, delimiter="\t", quoted=False))[1] == [text, "x"]
    assert read_lines(tmp_path / "a.tsv") == [f"{text}\tx"]


def test_words_that_other_readers_take_for_missing_values_stay_text(tmp_path):
    words = ["NA", "null", "nan", "None", "N/A"]
    (tmp_path / "a.csv").write_text("".join(f"{word},1\n" for word in words), encoding="utf-8")
    table = read_table(tmp_path / "a.csv", 2, delimiter=",", quoted=True)
    assert [cells[0] for _where, cells in table] == words


def test_an_unclosed_quote_is_an_error_and_swallows_no_rows(tmp_path):
    (tmp_path / "a.csv").write_text('1,a\n2,"b\n3,c\n4,d\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.csv:2: malformed row"):
        list(read_table(tmp_path / "a.csv", 2, delimiter=",", quoted=True))


def test_a_missing_or_extra_cell_is_named_by_its_line(tmp_path):
    (tmp_path / "a.tsv").write_text("a\tb\na\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.tsv:2: expected 2 columns, got 1"):
        list(read_table(tmp_path / "a.tsv", 2, delimiter="\t", quoted=False))


def test_another_header_is_refused(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"expected the header \['label', 'text'\]"):
        skip_header(read_table(path, 2, delimiter="\t", quoted=False), ("label", "text"), path)


@pytest.mark.parametrize("encoding", ["cp1250", "iso8859-2", "utf-16"])
def test_another_encoding_is_refused_at_its_first_bad_byte(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes("bun\nfață și\n".encode(encoding, "replace"))
    with pytest.raises(DataError, match=r"a\.txt:[12]: expected UTF-8, got the byte 0x"):
        read_text(tmp_path / "a.txt")


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffșapte\r\nopt".encode())
    assert read_lines(tmp_path / "a.txt") == ["șapte", "opt"]


def test_a_missing_file_says_what_to_run(tmp_path):
    with pytest.raises(DataError, match="Run `distilro fetch`"):
        read_text(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ('[{"text": NaN}]', "NaN is not a JSON number"),
        ('[{"text": "a", "text": "b"}]', "'text' stands twice"),
        ('[{"text": "a"}', "not valid JSON"),
        ('[{"text": "a", "more": 1}]', r"row 0: expected the keys \['text'\]"),
        ("[1]", "row 0"),
        ('{"text": "a"}', "expected a list"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_json_that_is_not_rows_of_the_expected_keys_is_refused(tmp_path, document, complaint):
    (tmp_path / "a.json").write_text(document, encoding="utf-8")
    with pytest.raises(DataError, match=complaint):
        read_json_rows(tmp_path / "a.json", {"text"})


def test_json_rows_may_stand_under_a_key(tmp_path):
    (tmp_path / "a.json").write_text('{"rows": [{"text": "a"}]}', encoding="utf-8")
    assert read_json_rows(tmp_path / "a.json", {"text"}, "rows") == [{"text": "a"}]


@pytest.mark.parametrize("value", [1, None, ["a"], json.loads('"\\ud800"')])
def test_only_text_that_can_be_written_is_text(value):
    with pytest.raises(DataError, match="row 3"):
        check_text(value, "row 3")
