"""Passages: bounded, whole, in order, without repeats, and kept as they were."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilro.corpora.passages import (
    Passages,
    Repeats,
    cut_passages,
    read_passages,
    write_passages,
)
from distilro.errors import IntegrityError

PASSAGES = Passages(
    ["Știința e bună.", "Plouă…", "Știința e bună."], ["ro"] * 3, ["a", "a", "b"], ["x", "y", "x"]
)
WORDS = st.sampled_from(["ana", "are.", "mere!", "da?", "și…", "așa"])
PARAGRAPHS = st.lists(st.lists(WORDS, min_size=1, max_size=30).map(" ".join), max_size=8)


def split_words(texts):
    return [word for text in texts for word in text.split()]


def test_short_paragraphs_share_a_passage():
    assert list(cut_passages(["a b", "c", "d e", "f"], 4)) == ["a b c", "d e f"]


def test_a_long_paragraph_is_cut_where_sentences_end_and_a_long_sentence_anywhere():
    assert list(cut_passages(["a b. c d! e f g h i j k"], 4)) == ["a b. c d!", "e f g h", "i j k"]


def test_a_paragraph_that_just_fits_is_left_whole():
    assert list(cut_passages(["x", "a. b. c. d.", "y"], 4)) == ["x", "a. b. c. d.", "y"]


def test_no_paragraphs_are_no_passages():
    assert list(cut_passages([], 4)) == []


@given(PARAGRAPHS, st.integers(1, 12))
def test_passages_are_bounded_and_hold_all_words_in_order(paragraphs, words):
    passages = list(cut_passages(paragraphs, words))
    assert all(1 <= len(passage.split()) <= words for passage in passages)
    assert split_words(passages) == split_words(paragraphs)


@given(st.integers(0, 60), st.integers(1, 12))
def test_single_words_fill_every_passage_but_the_last(count, words):
    sizes = [len(passage.split()) for passage in cut_passages(["da"] * count, words)]
    whole, rest = divmod(count, words)
    assert sizes == [words] * whole + [rest] * (rest > 0)


def test_a_repeat_is_left_out_whatever_its_spelling_and_file():
    repeats = Repeats()
    assert list(repeats.leave_out(["Știu, da!", "stiu da", "Altceva"])) == ["Știu, da!", "Altceva"]
    assert list(repeats.leave_out(["ŞTIU; DA", "Nou"])) == ["Nou"]


@given(st.lists(st.sampled_from(["Da", "da", "Nu.", "nu", "Așa", "asa"]), max_size=20))
def test_what_is_left_has_every_text_once_at_its_first_place(texts):
    left = list(Repeats().leave_out(texts))
    folded = [text.lower().strip(".").replace("ș", "s") for text in texts]
    assert left == [text for place, text in enumerate(texts) if folded[place] not in folded[:place]]


def test_passages_come_back_as_they_were_written(tmp_path):
    write_passages(tmp_path / "a.parquet", PASSAGES)
    assert read_passages(tmp_path / "a.parquet") == PASSAGES
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_equal_passages_are_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_passages(tmp_path / name, PASSAGES)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rows_are_chosen_and_joined_in_order():
    chosen = PASSAGES.select([2, 0])
    assert (chosen.collection, len(chosen)) == (["b", "a"], 2)
    assert Passages.join([chosen, PASSAGES]).source == ["x", "x", "x", "y", "x"]


def spoil_bytes(path):
    path.write_bytes(path.read_bytes()[:-9])


def change_version(path):
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({b"distilro": b'{"version": 2, "rows": 3}'}), path)


def drop_rows(path):
    pq.write_table(pq.read_table(path).slice(1), path)


def drop_column(path):
    pq.write_table(pq.read_table(path).drop_columns(["source"]), path)


def forget_header(path):
    pq.write_table(pq.read_table(path).replace_schema_metadata({}), path)


@pytest.mark.parametrize(
    "spoil", [spoil_bytes, change_version, drop_rows, drop_column, forget_header]
)
def test_a_file_that_is_not_of_passages_is_refused(tmp_path, spoil):
    path = tmp_path / "a.parquet"
    write_passages(path, PASSAGES)
    spoil(path)
    with pytest.raises(IntegrityError, match=r"a\.parquet: .*Make them again"):
        read_passages(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(IntegrityError, match="cannot read passages"):
        read_passages(tmp_path / "absent.parquet")


def test_columns_of_unequal_length_are_never_written(tmp_path):
    with pytest.raises(pa.ArrowInvalid):
        write_passages(tmp_path / "a", Passages(["a"], ["ro"], ["a", "b"], ["x"]))
    assert not (tmp_path / "a").exists()
