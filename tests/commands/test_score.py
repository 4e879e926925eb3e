"""The command score: from predictions files and an audit to one file of scores."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from distilro.commands import score
from distilro.corpora.audit import write_audit
from distilro.corpora.copies import PAIR_SCHEMA
from distilro.corpora.examples import Task
from distilro.errors import DataError, SettingsError
from distilro.evaluation.predictions import Predictions, write_predictions
from distilro.evaluation.scores import read_scores

SETTINGS = {"bootstrap_samples": 100, "threshold": 0.5, "confidence": 0.95, "seed": 13}
SETTINGS |= {"seeds_needed": 3}


def run_score(folder: Path, predictions: list[Path], **settings: object) -> None:
    pair = {"id": "t", "split": "train", "other_id": "b", "other_split": "test"}
    write_audit(
        folder / "audit.parquet",
        pa.Table.from_pylist([pair], schema=PAIR_SCHEMA),
        jaccard=0.6,
        inputs={},
    )
    parser = argparse.ArgumentParser()
    score.add_arguments(parser)
    words = ["--predictions", *map(str, predictions), "--audit", str(folder / "audit.parquet")]
    words += ["--settings", json.dumps(SETTINGS | settings), "--out", str(folder / "out.parquet")]
    score.run(parser.parse_args(words))


def write_seed(folder: Path, seed: int) -> Path:
    path = folder / f"seed{seed}.parquet"
    predictions = Predictions(
        task=Task("sentiment", "multi_class", ("negative", "positive")),
        recipe="linear",
        scope="sentiment",
        seed=seed,
        test_set="made_up",
        language="ro",
        variant="official",
        model_hash="0" * 64,
        id=["a", "b", "c"],
        probabilities=np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], np.float32),
        gold=np.array([[1, 0], [0, 1], [0, 1]], np.float32),
        observed=np.ones((3, 2), bool),
    )
    stripped = replace(predictions, variant="stripped")
    write_predictions(path, {"ro": predictions, "ro-stripped": stripped})
    return path


def test_every_role_of_every_file_is_scored_and_copies_are_left_out_of_one_variant(tmp_path):
    run_score(tmp_path, [write_seed(tmp_path, 1), write_seed(tmp_path, 0)])
    found = read_scores(tmp_path / "out.parquet")
    accuracy = [
        (row.seed, row.variant, row.value, row.n) for row in found if row.metric == "accuracy"
    ]
    assert accuracy == [
        (0, "official", pytest.approx(2 / 3), 3),
        (0, "deduplicated", 1.0, 2),
        (0, "stripped", pytest.approx(2 / 3), 3),
        (1, "official", pytest.approx(2 / 3), 3),
        (1, "deduplicated", 1.0, 2),
        (1, "stripped", pytest.approx(2 / 3), 3),
    ]


def test_the_order_of_the_files_changes_no_byte(tmp_path):
    files = [write_seed(tmp_path, seed) for seed in (0, 1)]
    written = []
    for order in (files, files[::-1]):
        run_score(tmp_path, order)
        written.append((tmp_path / "out.parquet").read_bytes())
    assert written[0] == written[1]


def test_a_file_given_twice_writes_nothing(tmp_path):
    path = write_seed(tmp_path, 0)
    with pytest.raises(DataError, match="stands twice"):
        run_score(tmp_path, [path, path])
    assert not (tmp_path / "out.parquet").exists()


def test_a_setting_out_of_range_stops_it(tmp_path):
    with pytest.raises(SettingsError, match="threshold"):
        run_score(tmp_path, [write_seed(tmp_path, 0)], threshold=1.5)
