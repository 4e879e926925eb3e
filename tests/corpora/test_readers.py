"""The Romanian and general readers on small files: what they keep, and what they refuse."""

import json
from pathlib import Path

import pytest

from distilro.corpora.readers import READERS, drop_contradictions
from distilro.corpora.rows import Row
from distilro.errors import DataError


def write_json(folder: Path, **files: object) -> None:
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")


def write_lines(folder: Path, **files: list[str]) -> None:
    for name, lines in files.items():
        text = "".join(f"{line}\n" for line in lines)
        (folder / f"{name.replace('_', '-')}.txt").write_text(text, encoding="utf-8")


def tweet(*annotators: list[int], **changes: object) -> dict:
    sums = [sum(values) for values in zip(*annotators, strict=True)]
    return {
        "text_id": 1,
        "text": "Ce zi!",
        "sum_labels": sums,
        "agreed_labels": [int(value >= 2) for value in sums],
        "procentual_labels": [0.33 * value for value in sums],
        **{f"annotator{number}": vector for number, vector in enumerate(annotators, start=1)},
        **changes,
    }


JOY, TRUST_JOY, ANGER = [0] * 6 + [1], [0] * 5 + [1, 1], [0, 0, 0, 1, 0, 0, 0]


def test_redv2_takes_what_two_of_three_agree_on_and_keeps_the_votes(tmp_path):
    rows = [tweet(JOY, TRUST_JOY, ANGER)]
    write_json(tmp_path, train=rows, valid=rows, test=rows)
    row = READERS["redv2"](tmp_path).splits["train"][0]
    assert row.labels == ("joy",)
    assert row.source_row == "train.json:0"
    assert row.votes["joy"] == 2 / 3
    assert row.votes["trust"] == row.votes["anger"] == 1 / 3
    assert row.votes["sadness"] == 0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"agreed_labels": ANGER}, "not what the annotators say"),
        ({"sum_labels": [0] * 7}, "not what the annotators say"),
        ({"annotator1": [0] * 6}, "expected 7 numbers"),
        ({"annotator1": [0] * 6 + [2]}, "not 0 or 1"),
        ({"text": None}, "expected text"),
        ({"more": 1}, "expected the keys"),
    ],
)
def test_redv2_refuses_a_row_that_contradicts_itself(tmp_path, changes, complaint):
    good = tweet(JOY, JOY, JOY)
    write_json(tmp_path, train=[good, {**good, **changes}], valid=[good], test=[good])
    with pytest.raises(DataError, match=complaint) as caught:
        READERS["redv2"](tmp_path)
    assert "1" in str(caught.value)


def review(index: int, stars: int, content: str = "merge bine") -> dict:
    return {
        "index": str(index),
        "title": "Excelent",
        "content": content,
        "starRating": str(stars),
    }


def write_reviews(folder: Path, positive: list, negative: list, test: list) -> None:
    write_json(
        folder,
        positive_reviews={"reviews": positive},
        negative_reviews={"reviews": negative},
        laroseda_test={"reviews": test},
    )


def test_laroseda_trains_on_what_is_not_in_its_test_and_never_sees_a_title(tmp_path):
    positive, negative = [review(1, 5), review(2, 4)], [review(3, 1), review(4, 2)]
    write_reviews(tmp_path, positive, negative, [positive[1], negative[0]])
    splits = READERS["laroseda"](tmp_path).splits
    assert [(row.source_row, row.labels) for row in splits["train"]] == [
        ("positive_reviews.json:0", ("positive",)),
        ("negative_reviews.json:1", ("negative",)),
    ]
    assert [row.labels for row in splits["test"]] == [("positive",), ("negative",)]
    texts = [row.text for rows in splits.values() for row in rows]
    assert not any("Excelent" in text for text in texts)


@pytest.mark.parametrize(
    ("positive", "test", "complaint"),
    [
        ([review(1, 5), review(1, 5)], [], "review 1 stands twice"),
        ([review(1, 3)], [], "expected 1, 2, 4 or 5 stars, got '3'"),
        ([review(1, 5)], [review(2, 5)], "review 2 is not among all reviews"),
        ([review(1, 5)], [review(1, 5, "altul")], "review 1 is not among all reviews"),
        ([review(1, 5)], [review(1, 5), review(1, 5)], "review 1 is not among all reviews"),
    ],
)
def test_laroseda_refuses_reviews_that_do_not_fit_together(tmp_path, positive, test, complaint):
    write_reviews(tmp_path, positive, [], test)
    with pytest.raises(DataError, match=complaint):
        READERS["laroseda"](tmp_path)


def write_vardial(folder: Path, texts: list[str], **gold: list[str]) -> None:
    write_lines(folder, test=texts)
    for number, name in enumerate(("dialects", "ro", "md"), start=1):
        path = folder / f"subtask-{number}-gold.txt"
        path.write_text("\n".join(gold[name]) + "\n", encoding="utf-8")


def test_moroco_vardial_joins_texts_dialects_and_topics_line_by_line(tmp_path):
    texts = ['un "citat', "doi", "trei", "patru"]
    write_vardial(
        tmp_path, texts, dialects=["MD", "RO", "RO", "MD"], ro=["CUL", "FIN"], md=["SPO", "TEC"]
    )
    reading = READERS["moroco_vardial2019"](tmp_path)
    assert [(row.text, row.labels, row.stratum) for row in reading.splits["train"]] == [
        ('un "citat', ("SPO",), "SPO/MD"),
        ("doi", ("CUL",), "CUL/RO"),
        ("trei", ("FIN",), "FIN/RO"),
        ("patru", ("TEC",), "TEC/MD"),
    ]
    assert reading.dropped == []


def test_moroco_vardial_refuses_files_that_differ_in_length(tmp_path):
    write_vardial(tmp_path, ["unu", "doi"], dialects=["MD", "RO"], ro=["CUL", "FIN"], md=["SPO"])
    with pytest.raises(DataError, match="matching numbers of lines"):
        READERS["moroco_vardial2019"](tmp_path)


def test_every_copy_of_a_text_with_contradictory_labels_is_dropped_and_listed():
    rows = [
        Row("a", ("POL",), "f:1"),
        Row("b", ("POL",), "f:2"),
        Row("a", ("FIN",), "f:3"),
        Row("b", ("POL",), "f:4"),
    ]
    kept, dropped = drop_contradictions(rows)
    assert [row.source_row for row in kept] == ["f:2", "f:4"]
    assert [row.source_row for row in dropped] == ["f:1", "f:3"]


def write_moroco(folder: Path, **changes: list[str]) -> None:
    files = {
        "samples": ["17\tUn text\tcu tab", "18\tAlt text"],
        "category_labels": ["17\t2", "18\t6"],
        "dialect_labels": ["17\t1", "18\t2"],
        **changes,
    }
    for split in ("train", "validation", "test"):
        for name, lines in files.items():
            path = folder / f"{split}-{name}.txt"
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_moroco_joins_three_files_by_line_and_id(tmp_path):
    write_moroco(tmp_path)
    rows = READERS["moroco"](tmp_path).splits["valid"]
    assert [(row.text, row.labels, row.stratum) for row in rows] == [
        ("Un text\tcu tab", ("FIN",), "FIN/MD"),
        ("Alt text", ("TEC",), "TEC/RO"),
    ]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"category_labels": ["17\t2"]}, "differ in length"),
        ({"category_labels": ["18\t2", "17\t6"]}, "one ID"),
        ({"category_labels": ["17\t7", "18\t6"]}, "unknown topic '7'"),
        ({"dialect_labels": ["17", "18\t1"]}, "one ID and a tab"),
    ],
)
def test_moroco_refuses_lines_that_do_not_belong_together(tmp_path, changes, complaint):
    write_moroco(tmp_path, **changes)
    with pytest.raises(DataError, match=complaint):
        READERS["moroco"](tmp_path)


def test_a_labelled_table_may_have_several_labels_per_row(tmp_path):
    text = 'label\ttext\njoy\tBun "așa\njoy|trust\tȘi așa\n'
    (tmp_path / "samples.tsv").write_text(text, encoding="utf-8")
    rows = READERS["labelled_table"](tmp_path).splits["train"]
    assert [(row.text, row.labels, row.source_row) for row in rows] == [
        ('Bun "așa', ("joy",), "samples.tsv:2"),
        ("Și așa", ("joy", "trust"), "samples.tsv:3"),
    ]


def write_voted(folder, *lines):
    text = "".join(f"{line}\n" for line in ("label\ttext\tvotes", *lines))
    (folder / "samples.tsv").write_text(text, encoding="utf-8")


def test_a_voted_table_tells_the_share_of_annotators_for_every_label(tmp_path):
    write_voted(tmp_path, "joy\tBun\tjoy;joy|trust;trust", "fear\tVai\tfear;fear;fear")
    rows = READERS["voted_table"](tmp_path).splits["train"]
    assert [(row.text, row.labels) for row in rows] == [("Bun", ("joy",)), ("Vai", ("fear",))]
    assert rows[0].votes == {
        "fear": 0.0,
        "joy": pytest.approx(2 / 3),
        "trust": pytest.approx(2 / 3),
    }
    assert rows[1].votes == {"fear": 1.0, "joy": 0.0, "trust": 0.0}


def test_a_voted_table_needs_as_many_annotators_in_every_row(tmp_path):
    write_voted(tmp_path, "joy\tBun\tjoy;joy", "joy\tRău\tjoy;joy;fear")
    with pytest.raises(DataError, match=r"samples\.tsv:3: expected 2 annotators, got 3"):
        READERS["voted_table"](tmp_path)


def test_exported_rows_are_read_by_split(tmp_path):
    write_json(tmp_path, train=[{"text": "a", "labels": ["x"]}], manifest={"not": "rows"})
    splits = READERS["exported_rows"](tmp_path).splits
    assert [(row.text, row.labels) for row in splits["train"]] == [("a", ("x",))]
    assert list(splits) == ["train"]


def read_xed(folder: Path, *lines: str):
    text = "".join(f"{line}\r\n" for line in lines)
    (folder / "ro-projections.tsv").write_text(text, encoding="utf-8", newline="")
    return READERS["xed_ro"](folder)


def test_xed_is_one_test_split_with_names_for_numbers(tmp_path):
    reading = read_xed(tmp_path, "Ce zi!\t5, 8", "Fugi!\t3, 4")
    assert list(reading.splits) == ["test"]
    assert [(row.text, row.labels, row.source_row) for row in reading.splits["test"]] == [
        ("Ce zi!", ("joy", "trust"), "ro-projections.tsv:1"),
        ("Fugi!", ("disgust", "fear"), "ro-projections.tsv:2"),
    ]
    assert reading.dropped == []


def test_xed_lists_every_line_it_leaves_out_with_its_reason(tmp_path):
    lines = ["Cald.\t5", "fără etichetă", "en\tro\t1\t2\tHot.\tCald.", "Frig\t6", "frig!\t5",
             "CALD\t5", "Cald!\t5, 2", "Bun\t8", "bun...\t8", "Vine\t2, 3"]  # fmt: skip
    reading = read_xed(tmp_path, *lines)
    assert [row.source_row for row in reading.splits["test"]] == ["ro-projections.tsv:8"]
    assert {row.source_row.partition(":")[2]: row.reason for row in reading.dropped} == {
        "2": "1 columns, where a text and its labels are two",
        "3": "6 columns, where a text and its labels are two",
        **dict.fromkeys("14567", "the same text stands with other labels"),
        "9": "the text stood before with the same labels",
        "10": "only anticipation or disgust",
    }


def test_xeds_quotes_of_csv_are_taken_off(tmp_path):
    reading = read_xed(tmp_path, '"A zis ""da""."\t8', "Simplu\t8")
    assert [row.text for row in reading.splits["test"]] == ['A zis "da".', "Simplu"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("Ce zi!\t9", "1 to 8, got '9'"),
        ("Ce zi!\t5,8", "1 to 8"),
        ("Ce zi!\t5, 5", "distinct numbers"),
        ("Ce zi!\t", "1 to 8, got ''"),
        ('"Ce" zi!\t5', "malformed quotes"),
        ('"Ce zi!\t5', "malformed quotes"),
    ],
)
def test_xed_refuses_labels_and_quotes_it_does_not_know(tmp_path, line, complaint):
    with pytest.raises(DataError, match=complaint) as caught:
        read_xed(tmp_path, "Bun\t8", line)
    assert "ro-projections.tsv:2" in str(caught.value)
