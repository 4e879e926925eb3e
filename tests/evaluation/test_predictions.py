"""Predictions files: probabilities only, whole or refused."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from distilro.corpora.examples import Task
from distilro.errors import DataError, IntegrityError
from distilro.evaluation.predictions import (
    Predictions,
    check_predictions,
    read_predictions,
    write_predictions,
)

EMOTION = Task("emotion", "multi_label", ("sadness", "trust", "joy"))
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


@pytest.mark.parametrize("make", [make_emotion, make_topic])
def test_what_is_read_is_what_was_written(make, tmp_path):
    written = make()
    write_predictions(tmp_path / "ro.parquet", written)
    read = read_predictions(tmp_path / "ro.parquet")
    for name, value in vars(written).items():
        np.testing.assert_array_equal(getattr(read, name), value)
        assert getattr(getattr(read, name), "dtype", None) == getattr(value, "dtype", None)


def test_the_same_predictions_are_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_predictions(tmp_path / name, make_emotion())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("value", [2.5, -0.1, float("nan"), float("inf")])
def test_values_that_are_no_probabilities_are_refused_and_nothing_is_written(value, tmp_path):
    predictions = make_emotion()
    predictions.probabilities[1, 2] = value
    with pytest.raises(DataError, match=r"in row 1, label 2 .*logits"):
        write_predictions(tmp_path / "ro.parquet", predictions)
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
        read_predictions(tmp_path / "ro.parquet")


def test_a_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "ro.parquet"
    write_predictions(path, make_emotion())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(IntegrityError, match=r"ro\.parquet"):
        read_predictions(path)


@pytest.mark.parametrize("changes", [{"version": 9}, {"rows": 3}])
def test_another_version_or_lost_rows_are_refused(changes, tmp_path):
    path = tmp_path / "ro.parquet"
    write_predictions(path, make_emotion())
    table = pq.read_table(path)
    header = json.loads(table.schema.metadata[b"distilro"]) | changes
    pq.write_table(table.replace_schema_metadata({b"distilro": json.dumps(header)}), path)
    with pytest.raises(IntegrityError, match="expected predictions of version 1 with 2 rows"):
        read_predictions(path)
