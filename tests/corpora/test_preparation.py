"""Preparation: normalised, mapped, counted examples, or an error and nothing at all."""

from pathlib import Path

import numpy as np
import pytest

from distilro.corpora.examples import Task, hash_text
from distilro.corpora.preparation import prepare_dataset
from distilro.corpora.registry import Dataset
from distilro.errors import DataError, SettingsError

TASK = Task("emotion", "multi_label", ("fear", "joy", "trust"))
ROWS = [f"joy\tBucurie numărul {number}, <|PERSON|>!" for number in range(8)] + [
    f"love|fear\tDragoste\u200b  şi teamă {number}" for number in range(8)
]


def declare(**changes: object) -> Dataset:
    values = {
        "name": "made_up",
        "title": "Made up",
        "task": "emotion",
        "language": "ro",
        "licence": "CC0",
        "citation": "none",
        "reader": "labelled_table",
        "sources": [
            {
                "kind": "repository",
                "files": [{"name": "samples.tsv", "path": "x", "bytes": 1, "sha256": "0" * 64}],
            }
        ],
        "splits": {"train": 12, "valid": 4},
        "carve": {"from_split": "train", "sizes": {"valid": 4}, "salt": "1"},
        "label_map": {
            "joy": {"labels": ["joy"]},
            "fear": {"labels": ["fear"]},
            "love": {"labels": ["joy"], "unobserved": ["trust"]},
        },
        "alternative_label_maps": {"strict": {"love": {"labels": ["joy", "trust"]}}},
    }
    return Dataset.model_validate({**values, **changes})


def prepare(folder: Path, rows: list[str] = ROWS, label_map: str = "default", **changes: object):
    text = "".join(f"{row}\n" for row in ["label\ttext", *rows])
    (folder / "samples.tsv").write_text(text, encoding="utf-8")
    dataset = declare(**changes)
    return prepare_dataset(dataset, TASK, folder, reader=dataset.reader, label_map=label_map)


def test_rows_become_examples_with_ids_hashes_and_their_place(tmp_path):
    prepared = prepare(tmp_path)
    train, valid = prepared.examples["train"], prepared.examples["valid"]
    assert (len(train), len(valid)) == (12, 4)
    assert len({*train.id, *valid.id}) == 16
    assert train.text_hash == [hash_text(text) for text in train.text]
    assert set(train.source_row) < {f"samples.tsv:{line}" for line in range(2, 18)}
    assert set(train.lang) == {"ro"} and set(valid.split) == {"valid"}
    assert np.isnan(train.votes).all()
    assert any(
        text.startswith("Bucurie numărul") and text.endswith("<ent>!") for text in train.text
    )
    assert any(text.startswith("Dragoste și teamă") for text in train.text)


def test_labels_are_mapped_with_what_they_leave_open(tmp_path):
    train = prepare(tmp_path).examples["train"]
    row = next(row for row, text in enumerate(train.text) if text.startswith("Dragoste"))
    assert train.target[row].tolist() == [1, 1, 0]
    assert train.observed[row].tolist() == [True, True, False]


def test_another_label_map_can_be_asked_for(tmp_path):
    prepared = prepare(tmp_path, label_map="strict")
    train = prepared.examples["train"]
    row = next(row for row, text in enumerate(train.text) if text.startswith("Dragoste"))
    assert train.target[row].tolist() == [1, 1, 1]
    assert prepared.summary["label_map"] == "strict"


def test_the_summary_counts_rows_labels_and_texts(tmp_path):
    summary = prepare(tmp_path).summary
    splits = summary["splits"]
    assert splits["train"]["rows"] + splits["valid"]["rows"] == 16
    assert splits["train"]["labels"] == {"fear": 6, "joy": 12, "trust": 0}
    assert splits["valid"]["unobserved"] == {"fear": 0, "joy": 0, "trust": 2}
    assert splits["train"]["texts"]["with_cedilla_letters"] == 6
    assert summary["dropped"] == []


@pytest.mark.parametrize(
    "splits", [{"train": 11, "valid": 4}, {"train": 12}, {"train": 16, "test": 4}]
)
def test_another_number_of_rows_than_promised_is_an_error(tmp_path, splits):
    with pytest.raises(DataError, match=r"rows, got .*Nothing was kept"):
        prepare(tmp_path, splits=splits)


def test_a_row_without_text_is_an_error_unless_the_registry_expects_it(tmp_path):
    rows = [*ROWS, "joy\t \u200b\xa0"]
    with pytest.raises(
        DataError, match=r"expected 0 dropped rows, got 1 \(samples\.tsv:18: no text"
    ):
        prepare(tmp_path, rows)
    prepared = prepare(tmp_path, rows, dropped=1)
    assert prepared.summary["dropped"] == [{"source_row": "samples.tsv:18", "reason": "no text"}]


def test_an_unknown_label_stops_everything_with_its_line(tmp_path):
    rows = [*ROWS[:-1], "Joy\ttext"]
    with pytest.raises(DataError, match=r"samples\.tsv:17: unknown label 'Joy'.*'joy'"):
        prepare(tmp_path, rows)


def test_carving_out_of_a_split_that_is_not_there_is_an_error(tmp_path):
    carve = {"from_split": "all", "sizes": {"valid": 4}, "salt": "1"}
    with pytest.raises(SettingsError, match="cannot cut"):
        prepare(tmp_path, carve=carve)


def test_an_unknown_reader_names_the_nearest(tmp_path):
    with pytest.raises(SettingsError, match="'labelled_table'"):
        prepare(tmp_path, reader="labeled_table")


def test_two_preparations_are_equal_and_independent_of_the_folder(tmp_path):
    (tmp_path / "other").mkdir()
    one, two = prepare(tmp_path), prepare(tmp_path / "other")
    assert one.summary == two.summary
    assert one.examples["train"].id == two.examples["train"].id
