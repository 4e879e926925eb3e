"""Predictions files: probabilities only, whole or refused."""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distilro.corpora.examples import Task
from distilro.errors import DataError, IntegrityError
from distilro.evaluation.predictions import (
    Predictions,
    check_predictions,
    read_official,
    read_predictions,
    write_predictions,
)

EMOTION = Task("emotion", "multi_label", ("sadness", "trust", "joy"))
ARRAYS = ("probabilities", "gold", "observed")
TOPIC = Task("topic", "multi_class", ("politics", "culture"))


def make_emotion() -> Predictions:
    return Predictions(
        task=EMOTION,
        recipe="linear",
        scope="emotion",
        seed=0,
        test_set="made_up",
        language="ro",
        variant="official",
        model_hash="0" * 64,
        id=["a", "b"],
        probabilities=np.array([[0.9, 0.1, 0.5], [0.0, 1.0, 0.25]], np.float32),
        gold=np.array([[1, 0, 1], [0, 0, 1]], np.float32),
        observed=np.array([[1, 1, 1], [1, 0, 1]], bool),
    )


def make_topic() -> Predictions:
    return replace(
        make_emotion(),
        task=TOPIC,
        probabilities=np.array([[0.75, 0.25], [0.5, 0.5]], np.float32),
        gold=np.array([[1, 0], [1, 1]], np.float32),
        observed=np.ones((2, 2), bool),
    )


def make_parts() -> dict[str, Predictions]:
    """Return two roles, of two rows and of one."""
    one = {name: getattr(make_emotion(), name)[:1] for name in ARRAYS}
    english = {"test_set": "made_up_en", "language": "en", "id": ["c"]}
    return {"ro": make_emotion(), "en": replace(make_emotion(), **english, **one)}


def write_parts(folder: Path, **parts: Predictions) -> Path:
    write_predictions(folder / "emotion.parquet", parts or make_parts())
    return folder / "emotion.parquet"


def change_header(path: Path, changes: dict) -> None:
    table = pq.read_table(path)
    header = json.loads(table.schema.metadata[b"distilro"]) | changes
    schema = table.schema.with_metadata({b"distilro": json.dumps(header)})
    with pq.ParquetWriter(path, schema) as writer:
        writer.write_table(table[:2])
        writer.write_table(table[2:])


@pytest.mark.parametrize("parts", [make_parts(), {"ro": make_topic()}])
def test_what_is_read_is_what_was_written_in_its_order(parts, tmp_path):
    read = read_predictions(write_parts(tmp_path, **parts))
    assert list(read) == list(parts)
    for role, written in parts.items():
        for name, value in vars(written).items():
            np.testing.assert_array_equal(getattr(read[role], name), value)
            assert getattr(getattr(read[role], name), "dtype", None) == getattr(
                value, "dtype", None
            )


@settings(max_examples=25)
@given(
    rows=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    width=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_any_roles_come_back_whole_and_alone(rows, width, seed):
    generator = np.random.default_rng(seed)
    task = Task("any", "multi_label", tuple(f"label{n}" for n in range(width)))
    parts = {
        f"role{number}": replace(
            make_emotion(),
            task=task,
            id=[f"{number}-{row}" for row in range(count)],
            probabilities=generator.random((count, width), np.float32),
            gold=generator.integers(2, size=(count, width)).astype(np.float32),
            observed=generator.random((count, width)) < 0.5,
        )
        for number, count in enumerate(rows)
    }
    with TemporaryDirectory() as folder:
        path = write_parts(Path(folder), **parts)
        for role, part in parts.items():
            (read,) = read_predictions(path, [role]).values()
            assert read.id == part.id
            for name in ARRAYS:
                np.testing.assert_array_equal(getattr(read, name), getattr(part, name))


def test_the_same_predictions_are_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_predictions(tmp_path / name, make_parts())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_another_reader_of_parquet_sees_which_role_a_row_is_of(tmp_path):
    table = pq.read_table(write_parts(tmp_path))
    assert table.column("role").to_pylist() == ["ro", "ro", "en"]
    assert table.column("id").to_pylist() == ["a", "b", "c"]


def test_the_header_tells_what_each_role_is_by_hand(tmp_path):
    header = json.loads(pq.read_schema(write_parts(tmp_path)).metadata[b"distilro"])
    assert header == {
        "version": 2,
        "task": {"name": "emotion", "kind": "multi_label", "labels": list(EMOTION.labels)},
        **{"recipe": "linear", "scope": "emotion", "seed": 0, "model_hash": "0" * 64},
        "roles": [
            {"role": "ro", "rows": 2, "test_set": "made_up", "language": "ro",
             "variant": "official"},
            {"role": "en", "rows": 1, "test_set": "made_up_en", "language": "en",
             "variant": "official"},
        ],
    }  # fmt: skip


def test_a_reader_of_one_role_reads_no_other(tmp_path, monkeypatch):
    path = write_parts(tmp_path)
    read = []
    whole = pq.ParquetFile.read_row_group

    def record(self, number, *arguments):
        read.append(number)
        return whole(self, number, *arguments)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", record)
    assert list(read_predictions(path, {"en"})) == ["en"]
    assert read == [1]


@pytest.mark.parametrize("roles", [("ood",), ("ro", "ood")])
def test_a_role_that_the_file_has_not_is_named_with_those_that_it_has(roles, tmp_path):
    path = write_parts(tmp_path)
    said = r"emotion\.parquet: expected predictions of \['ood'\], got those of \['ro', 'en'\]"
    with pytest.raises(DataError, match=said):
        read_predictions(path, roles)


@pytest.mark.parametrize(
    "changes",
    [{"recipe": "other"}, {"scope": "all"}, {"seed": 1}, {"model_hash": "1" * 64}, {"task": None}],
)
def test_parts_of_two_models_are_refused_and_nothing_is_written(changes, tmp_path):
    other = replace(make_emotion(), **changes) if changes != {"task": None} else make_topic()
    with pytest.raises(DataError, match="one model for one task"):
        write_parts(tmp_path, ro=make_emotion(), en=other)
    assert list(tmp_path.iterdir()) == []


def test_no_part_at_all_is_refused(tmp_path):
    with pytest.raises(DataError, match="one model for one task"):
        write_predictions(tmp_path / "emotion.parquet", {})


@pytest.mark.parametrize("value", [2.5, -0.1, float("nan"), float("inf")])
def test_values_that_are_no_probabilities_are_refused_and_nothing_is_written(value, tmp_path):
    predictions = make_emotion()
    predictions.probabilities[1, 2] = value
    with pytest.raises(DataError, match=r"emotion\.parquet, ro: .*in row 1, label 2 .*logits"):
        write_parts(tmp_path, en=make_emotion(), ro=predictions)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        (make_emotion, {"id": ["a"]}, "shape"),
        (make_emotion, {"id": ["a", "a"]}, "unique"),
        (make_emotion, {"variant": "deduplicated"}, "variant"),
        (make_emotion, {"gold": np.full((2, 3), 0.66, np.float32)}, "0 or 1"),
        (make_emotion, {"observed": np.ones((2, 2), bool)}, "observed must have shape"),
        (make_topic, {"probabilities": np.full((2, 2), 0.7, np.float32)}, "softmax"),
        (make_topic, {"gold": np.zeros((2, 2), np.float32)}, "gold label"),
        (make_topic, {"observed": np.eye(2).astype(bool)}, "observed"),
    ],
)
def test_rows_that_do_not_fit_are_refused(make, changes, message):
    with pytest.raises(DataError, match=message):
        check_predictions(replace(make(), **changes), "here")


def test_no_rows_at_all_are_refused():
    empty = {name: np.zeros((0, 3)) for name in ("probabilities", "gold", "observed")}
    with pytest.raises(DataError, match="one row or more"):
        check_predictions(replace(make_emotion(), id=[], **empty), "here")


def test_a_missing_file_names_the_stage(tmp_path):
    with pytest.raises(DataError, match="stage predict"):
        read_predictions(tmp_path / "emotion.parquet")


def test_a_file_cut_short_is_refused(tmp_path):
    path = write_parts(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(IntegrityError, match=r"emotion\.parquet"):
        read_predictions(path)


def test_a_table_of_something_else_is_refused(tmp_path):
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "emotion.parquet")
    with pytest.raises(IntegrityError, match="got version None"):
        read_predictions(tmp_path / "emotion.parquet")


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 1},
        {"version": 9},
        {"roles": [{"role": "ro", "rows": 3}, {"role": "en", "rows": 1}]},
        {"roles": [{"role": "ro", "rows": 2}]},
        {"roles": [{"role": "ro", "rows": 1}, {"role": "en", "rows": 2}]},
    ],
)
def test_another_version_or_lost_rows_are_refused(changes, tmp_path):
    path = write_parts(tmp_path)
    change_header(path, changes)
    said = r"expected predictions of version 2 with \[2, 1\] rows"
    with pytest.raises(IntegrityError, match=said):
        read_predictions(path)


def test_what_a_file_was_given_later_is_checked_again(tmp_path):
    path = write_parts(tmp_path)
    roles = [{"rows": rows, "test_set": "made_up", "language": "ro", "variant": "deduplicated"}
             for rows in (2, 1)]  # fmt: skip
    roles[0]["role"], roles[1]["role"] = "ro", "en"
    change_header(path, {"roles": roles})
    with pytest.raises(DataError, match="variant"):
        read_predictions(path)


def test_official_parts_come_file_by_file_in_the_order_asked(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for seed, path in enumerate((one, two)):
        valid = replace(make_emotion(), test_set="made_up-valid", seed=seed)
        write_predictions(path, {"ro": replace(make_emotion(), seed=seed), "ro-valid": valid})
    read = list(read_official([two, one], "ro-valid", "ro"))
    assert [(valid.test_set, test.test_set) for valid, test in read] == [
        ("made_up-valid", "made_up")
    ] * 2
    assert [test.seed for _, test in read] == [1, 0]


@pytest.mark.parametrize("changes", [{"variant": "stripped"}, {"language": "en"}])
def test_perturbed_or_english_parts_are_not_official(changes, tmp_path):
    path = write_parts(tmp_path, ro=replace(make_emotion(), **changes))
    with pytest.raises(DataError, match="ro: expected official predictions of texts in 'ro'"):
        list(read_official([path], "ro"))
